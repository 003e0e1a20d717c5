"""``tidegate metrics``: on the terminal, into a file, and without the library."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.fakes.samples import Samples
from tidegate.cli import exits
from tidegate.cli.entry import cli

PACKAGE_ROOT = Path(sys.modules["tidegate"].__file__ or "").parents[1]

WITHOUT_LIBRARY = """
import sys
sys.modules["prometheus_client"] = None
from tidegate.cli.entry import main
main()
"""


def metrics(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["metrics", *arguments], catch_exceptions=False)


def test_they_are_printed() -> None:
    done = metrics()
    assert done.exit_code == 0
    assert "tidegate_agent_up" in Samples(done.stdout.encode())


def test_a_file_is_written_at_once_for_everybody(tmp_path: Path) -> None:
    file = tmp_path / "tidegate.prom"
    file.write_text("old")
    with file.open() as reader:
        assert metrics("--textfile", str(file)).output == ""
        assert reader.read() == "old", "who reads the old one reads it to its end"
    assert file.stat().st_mode & 0o777 == 0o644
    assert "tidegate_agent_up" in Samples(file.read_bytes())
    assert list(tmp_path.iterdir()) == [file]


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (tmp_path / "tidegate.prom").symlink_to(precious)
    (tmp_path / ".tidegate.prom.new").symlink_to(precious)
    metrics("--textfile", str(tmp_path / "tidegate.prom"))
    assert precious.read_text() == "precious"


def test_a_file_that_node_exporter_would_not_read_is_wrong_usage(tmp_path: Path) -> None:
    done = metrics("--textfile", str(tmp_path / "tidegate.txt"))
    assert done.exit_code == exits.USAGE
    assert "*.prom" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    done = metrics("--textfile", str(tmp_path / "no/tidegate.prom"))
    assert done.exit_code == exits.FAILED
    assert "No such file" in done.stderr
    assert "to do:" in done.stderr


def test_without_the_library_it_says_what_to_install() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_LIBRARY, "metrics"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        env={**os.environ, "PYTHONPATH": str(PACKAGE_ROOT)},
    )
    assert (done.returncode, done.stdout) == (exits.FAILED, "")
    assert "prometheus_client" in done.stderr
    assert "pip install 'tidegate[metrics]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_server_without_a_socket_says_who_would_have_brought_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LISTEN_PID", raising=False)
    done = CliRunner().invoke(cli, ["metrics-server"], catch_exceptions=False)
    assert done.exit_code == exits.USAGE
    assert "tidegate-metrics.socket" in done.stderr
