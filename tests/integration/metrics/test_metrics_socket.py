"""The metrics server as systemd starts it: by its socket, with real readers, and for a flood of them."""

from __future__ import annotations

import os
import resource
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

import tidegate
from tests.fakes.samples import Samples
from tests.integration.metrics.conftest import Promtool

MAIN = "from tidegate.cli.entry import main; main()"
WITHOUT_LIBRARY = 'import sys; sys.modules["prometheus_client"] = None; ' + MAIN
PACKAGE_ROOT = Path(tidegate.__file__ or "").parents[1]
START_SECS = 30.0
MAX_RSS_BYTES = 48 * 1024 * 1024
"""Half of what its unit allows."""

Place = Path


def activated(folder: Path, program: str) -> subprocess.Popen[str]:
    """What systemd does for Accept=no: it listens, and starts the program when the first reader comes."""
    path = shutil.which("systemd-socket-activate")
    if path is None:
        pytest.skip("needs systemd-socket-activate (apt-get install systemd)")
    command = [path, f"--listen={folder / 'metrics.promsock'}", "--setenv=PYTHONPATH", sys.executable, "-c", program]
    env = {**os.environ, "PYTHONPATH": str(PACKAGE_ROOT)}
    child = subprocess.Popen([*command, "metrics-server"], stderr=subprocess.PIPE, text=True, env=env)
    deadline = time.monotonic() + START_SECS
    while not (folder / "metrics.promsock").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return child


@pytest.fixture(name="server")
def _server(tmp_path: Path) -> Generator[tuple[Place, subprocess.Popen[str]], None, None]:
    child = activated(tmp_path, MAIN)
    yield tmp_path / "metrics.promsock", child
    child.kill()
    child.communicate()


def connect(place: Path) -> socket.socket:
    reader = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    reader.settimeout(START_SECS)
    reader.connect(str(place))
    return reader


def read(place: Path) -> bytes:
    with closing(connect(place)) as reader:
        return b"".join(iter(lambda: reader.recv(65536), b""))


def test_a_reader_starts_it_and_prometheus_takes_what_it_reads(
    server: tuple[Place, subprocess.Popen[str]], promtool: Promtool
) -> None:
    place, child = server
    text = read(place)
    assert "tidegate_agent_up" in Samples(text)
    assert promtool("check", "metrics", stdin=text) == ""
    assert read(place) == text
    assert child.poll() is None


def test_a_flood_of_readers_that_read_nothing_neither_stops_nor_fattens_it(
    server: tuple[Place, subprocess.Popen[str]],
) -> None:
    place, child = server
    text = read(place)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(2000, hard - 100)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + 100), hard))
    try:
        with ExitStack() as kept:
            idle = [kept.enter_context(closing(connect(place))) for _ in range(count)]
            for _ in range(count):
                connect(place).close()
            began = time.monotonic()
            assert read(place).startswith(b"# HELP tidegate_build_info")
            assert time.monotonic() - began < START_SECS / 10
            assert len(b"".join(iter(lambda: idle[0].recv(65536), b""))) == len(text)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    status = Path(f"/proc/{child.pid}/status").read_text()
    rss_kib = int(status.partition("VmHWM:")[2].split()[0])
    assert rss_kib * 1024 < MAX_RSS_BYTES
    assert len(list(Path(f"/proc/{child.pid}/fd").iterdir())) < 20


def test_without_the_library_readers_are_hung_up_on_and_the_journal_is_told(tmp_path: Path) -> None:
    child = activated(tmp_path, WITHOUT_LIBRARY)
    try:
        assert read(tmp_path / "metrics.promsock") == b""
        _, said = child.communicate(timeout=START_SECS)
    finally:
        child.kill()
        child.communicate()
    assert child.returncode == 1
    assert "pip install 'tidegate[metrics]'" in said
    assert "Traceback" not in said
