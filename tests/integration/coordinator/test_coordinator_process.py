"""``tidegate coordinator serve`` and ``tidegate lock run`` as processes, as an operator starts them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.fakes.plain_http import NO_TLS

HEADERS = {"fleet-lock-protocol": "true"}
MAIN = "from tidegate.cli.entry import main; main()"
START_SECS = 30.0
STOP_SECS = 20.0
GROUPS = '[[group]]\nname = "default"\nslots = {slots}\n'


@dataclass
class Process:
    """A coordinator, its folders, and what it said so far."""

    folder: Path
    child: subprocess.Popen[str]
    said: list[str]
    url: str = ""

    @property
    def here(self) -> str:
        return f"unix:{self.folder / 'run' / 'operator.sock'}"

    def wait_for(self, pattern: str) -> re.Match[str]:
        """A line that it says, or has said."""
        deadline = time.monotonic() + START_SECS
        while time.monotonic() < deadline:
            for line in list(self.said):
                if found := re.search(pattern, line):
                    return found
            time.sleep(0.02)
        raise AssertionError(f"it does not say {pattern!r}, but: {''.join(self.said)}")

    def configure(self, text: str) -> None:
        (self.folder / "10.toml").write_text(text)

    def reload(self) -> None:
        self.said.clear()
        self.child.send_signal(signal.SIGHUP)

    def lock(self, client_id: str) -> int:
        body = json.dumps({"client_params": {"id": client_id, "group": "default"}})
        url = f"{self.url}/v1/pre-reboot"
        return httpx.post(url, headers=HEADERS, content=body, verify=NO_TLS, trust_env=False).status_code

    def tidegate(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return tidegate(*arguments, "--url", self.here)

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> int:
        self.child.send_signal(sign)
        return self.child.wait(STOP_SECS)


def tidegate(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", MAIN, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **(env or {})}
    )


@pytest.fixture
def process(tmp_path: Path) -> Generator[Process, None, None]:
    (tmp_path / "run").mkdir()
    (tmp_path / "10.toml").write_text(GROUPS.format(slots=1))
    command = [sys.executable, "-c", MAIN, "coordinator", "serve", "--config", str(tmp_path)]
    command += ["--listen", "127.0.0.1:0", "--store", f"sqlite:{tmp_path / 'locks.db'}"]
    child = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "RUNTIME_DIRECTORY": str(tmp_path / "run")}
    )
    process = Process(tmp_path, child, [])
    reader = threading.Thread(target=_read, args=(child, process.said), daemon=True)
    reader.start()
    try:
        process.url = process.wait_for(r"serving locks, operators and metrics at (http://\S+)")[1]
        yield process
    finally:
        child.kill()
        child.wait(STOP_SECS)
        reader.join(STOP_SECS)
        assert child.stderr is not None
        child.stderr.close()


def _read(child: subprocess.Popen[str], said: list[str]) -> None:
    assert child.stderr is not None
    said.extend(iter(child.stderr.readline, ""))


def test_it_serves_tells_and_stops(process: Process) -> None:
    assert [process.lock("a"), process.lock("b")] == [200, 423]
    shown = process.tidegate("coordinator", "status")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("default: 1 of 1 slot held\n  a  held for ")
    assert "  b waits: " in shown.stdout
    freed = process.tidegate("coordinator", "release", "a", "--reason", "gone for good")
    assert (freed.returncode, freed.stdout) == (0, "freed the slot of a in group default\n")
    assert process.lock("b") == 200
    told = process.tidegate("coordinator", "history").stdout
    assert re.search(
        r"default  a  granted by .*\n.*default  a  taken by uid .*: gone for good.*\n.*default  b  granted", told
    )
    assert process.stop() == 0
    audit = "".join(process.said)
    assert re.search(r"audit what=granted group=default id=a by=", audit)
    assert re.search(r'audit what=taken group=default id=a by="uid .*" detail="gone for good', audit)
    assert "Traceback" not in audit


def test_a_reload_follows_the_slots_up_and_down(process: Process) -> None:
    assert [process.lock("a"), process.lock("b")] == [200, 423]
    process.configure(GROUPS.format(slots=2))
    process.reload()
    assert _eventually(lambda: process.lock("b") == 200)
    process.configure(GROUPS.format(slots=1))
    process.reload()
    shown = process.tidegate("coordinator", "status")
    assert _eventually(lambda: "2 of 1 slot held" in process.tidegate("coordinator", "status").stdout), shown.stdout
    assert process.lock("a") == 200


def test_a_bad_reload_changes_nothing_and_says_so(process: Process) -> None:
    process.configure(GROUPS.format(slots="many"))
    process.reload()
    process.wait_for(r"last good configuration stays in force: .*10\.toml:3")
    assert [process.lock("a"), process.lock("b")] == [200, 423]


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_well_under_load(process: Process, sign: signal.Signals) -> None:
    codes: list[int] = []
    broken: list[str] = []
    stopping = threading.Event()

    def load() -> None:
        with httpx.Client(base_url=process.url, verify=NO_TLS, trust_env=False, timeout=10) as client:
            body = json.dumps({"client_params": {"id": "a", "group": "default"}})
            while not stopping.is_set():
                try:
                    codes.append(client.post("/v1/pre-reboot", headers=HEADERS, content=body).status_code)
                except httpx.ConnectError:
                    return  # it takes no more connections
                except httpx.TransportError as error:
                    broken.append(repr(error))
                    return

    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert _eventually(lambda: len(codes) > 200)
    assert process.stop(sign) == 0
    stopping.set()
    for thread in threads:
        thread.join(STOP_SECS)
    assert set(codes) == {200}
    assert all("RemoteProtocolError" in one or "ReadError" in one or "WriteError" in one for one in broken)
    assert not (process.folder / "run" / "operator.sock").exists()
    assert "Traceback" not in "".join(process.said)


def test_lock_run_takes_a_slot_and_gives_it_back(process: Process) -> None:
    url = ("--url", process.url, "--group", "default")
    code = "import httpx,sys; print(httpx.get(sys.argv[1] + '/metrics', trust_env=False).text)"
    done = tidegate("lock", "run", "--id", "job", *url, "--", sys.executable, "-c", code, process.url)
    assert done.returncode == 0, done.stderr
    assert 'airlock_database_semaphore_lock_holders{group="default"} 1.0' in done.stdout
    assert process.lock("other") == 200
    refused = tidegate("lock", "run", "--id", "job", *url, "--wait", "0", "--", "true")
    assert refused.returncode == 3
    assert "no slot within 0 s" in refused.stderr
    freed = tidegate("lock", "release", "--id", "other", *url)
    assert freed.returncode == 0
    assert tidegate("lock", "run", "--id", "job", *url, "--wait", "1min", "--", "false").returncode == 1


def test_lock_run_of_an_unknown_group_gives_up_at_once(process: Process) -> None:
    done = tidegate("lock", "run", "--id", "job", "--url", process.url, "--group", "nope", "--", "true")
    assert done.returncode == 1
    assert "unknown_group" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--listen", "0.0.0.0:0"), "TLS is off"),
        (("--listen", "nonsense"), "does not end in a port"),
        (("--store", "mysql://x"), "is not a store"),
        (("--listen", "192.0.2.77:0"), "TLS is off"),
        (("--listen", "127.0.0.1:1", "--store", "sqlite:/proc/nope/x.db"), ""),
    ],
)
def test_what_keeps_it_from_starting_is_told_in_words(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    done = tidegate(
        "coordinator", "serve", "--config", str(tmp_path), *arguments, env={"RUNTIME_DIRECTORY": str(tmp_path)}
    )
    assert done.returncode == 1
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_without_its_extra_it_says_what_to_install(tmp_path: Path) -> None:
    hidden = "import sys; sys.modules['starlette'] = sys.modules['uvicorn'] = None;"
    command = [sys.executable, "-c", f"{hidden} {MAIN}", "coordinator", "serve", "--config", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "pip install 'tidegate[coordinator]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("coordinator", "--help"), ("coordinator", "status", "--help"), ("lock", "run", "--help")],
)
def test_asking_for_help_loads_neither_server_nor_client(arguments: tuple[str, ...]) -> None:
    code = (
        "import sys; from tidegate.cli.entry import cli\n"
        f"cli.main({list(arguments)!r}, standalone_mode=False)\n"
        "heavy = {'starlette', 'uvicorn', 'httpx', 'asyncio', 'prometheus_client'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.endswith("[]\n")


def _eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + START_SECS
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.05)
    return False
