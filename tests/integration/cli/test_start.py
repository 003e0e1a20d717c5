"""Where the console script begins: what the resident agent has to do without, so that it stays small."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tidegate
from tidegate.discovery.wire import GraphRequest, OffersEvent
from tidegate.net.wire import ErrorEvent, decode_event, encode_request

PACKAGE_ROOT = Path(tidegate.__file__).parents[1]
START = "from tidegate.cli.start import main; main()"
WORKER = "import sys; sys.path.insert(0, sys.argv[1]); from tidegate.net.worker import main; main()"
NO_BUS = {"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent/bus"}

HEAVY = {
    "_ssl": "the net-worker speaks TLS",
    "click": "commands are for people",
    "dateutil": "few hosts have dates that recur",
    "gi.its_own": "dbus-next loads PyGObject where it is installed, as it is here",
    "httpx": "the net-worker has it",
    "prometheus_client": "metrics are made from the snapshot, by others",
    "tidegate.cli.entry": "it is click's",
    "tidegate.discovery.graph": "the net-worker reads graphs",
    "zoneinfo": "a host on UTC has no need of it",
}


def start(*arguments: str, beside: Path = PACKAGE_ROOT) -> subprocess.CompletedProcess[str]:
    """The console script in a process that finds no bus; on stderr is all that it imported or tried to, in order."""
    return subprocess.run(
        [sys.executable, "-X", "importtime", "-c", START, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
        env={**os.environ, **NO_BUS, "PYTHONPATH": f"{PACKAGE_ROOT}:{beside}"},
    )


def imported(stderr: str) -> list[str]:
    """The modules that were imported."""
    return [line.rpartition("|")[2].strip() for line in stderr.splitlines() if line.startswith("import time:")]


@pytest.fixture(scope="module", name="agent")
def started_agent(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """The agent as its unit starts it."""
    libraries = tmp_path_factory.mktemp("libraries")
    (libraries / "gi").mkdir()
    (libraries / "gi/__init__.py").write_text("from gi import its_own\n", encoding="ascii")
    (libraries / "gi/its_own.py").touch()
    return start("agent", beside=libraries)


def test_an_agent_that_cannot_work_says_why_and_has_failed(agent: subprocess.CompletedProcess[str]) -> None:
    assert agent.returncode == 1
    assert "tidegate: " in agent.stderr
    assert "to do: " in agent.stderr
    assert "Traceback" not in agent.stderr


@pytest.mark.parametrize("module", HEAVY)
def test_the_resident_agent_never_loads(agent: subprocess.CompletedProcess[str], module: str) -> None:
    modules = imported(agent.stderr)
    resident = modules[: modules.index("tidegate.app") + 1]  # click comes after it, to complain with
    assert "dbus_next.glib.message_bus" in resident
    assert module not in resident


def test_with_options_it_is_a_command_like_any_other_and_as_small_but_for_click() -> None:
    done = start("agent", "--config-root", "/nonexistent")
    assert done.returncode == 1
    modules = imported(done.stderr)
    assert {"click", "tidegate.app"} <= set(modules)
    assert "_ssl" not in modules


def test_everything_else_is_a_command() -> None:
    done = start("--version")
    assert done.stdout.startswith("tidegate, version")
    assert "tidegate.app" not in imported(done.stderr)


def test_the_worker_speaks_http_without_the_command_line_of_httpx() -> None:
    request = GraphRequest("http://127.0.0.1:1/graph.json", "0" * 64, 5.0, 1024)
    done = subprocess.run(
        [sys.executable, "-I", "-X", "importtime", "-c", WORKER, str(PACKAGE_ROOT)],
        input=encode_request(request),
        capture_output=True,
        check=True,
        timeout=20,
    )
    assert isinstance(decode_event(done.stdout, OffersEvent), ErrorEvent)
    modules = imported(done.stderr.decode())
    assert "httpx" in modules
    assert not {"click", "pygments", "rich"} & set(modules)
