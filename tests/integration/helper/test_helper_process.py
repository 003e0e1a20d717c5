"""The helper as systemd starts it: its choice of engine, its notifications, its exit."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import tidegate
from tests.fakes.asyncs import run
from tests.fakes.private_bus import PrivateBus, connected, private_bus
from tidegate.engines import detect
from tidegate.engines.facts import BootcAnswer, HostFacts
from tidegate.engines.ostree import OstreeEngine
from tidegate.engines.remote import RemoteEngine
from tidegate.engines.unsupported import UnsupportedEngine
from tidegate.engines.wire import ENGINE
from tidegate.errors import ErrorKind, TidegateError
from tidegate.helper import main
from tidegate.helper.main import choose_engine
from tidegate.settings import load

OSTREE_HOST = HostFacts(ostree_booted=True, ostree_installed=True, rpm_ostree=False, bootc=BootcAnswer.ABSENT)
NO_HOST = HostFacts(ostree_booted=False, ostree_installed=False, rpm_ostree=False, bootc=BootcAnswer.ABSENT)


def on(monkeypatch: pytest.MonkeyPatch, facts: HostFacts, snippet: str, root: Path) -> None:
    """Let the host be so, and configured so."""

    async def read_facts() -> HostFacts:
        return facts

    (root / "50-engine.toml").write_text(snippet)
    monkeypatch.setattr(main, "read_facts", read_facts)
    monkeypatch.setattr(main, "DEFAULT_ROOTS", (root,))


@pytest.mark.parametrize(
    ("facts", "snippet", "engine"),
    [
        (OSTREE_HOST, "", OstreeEngine),
        (OSTREE_HOST, "[engine]\nkind = 'no such thing'\n", OstreeEngine),
        (NO_HOST, "[engine]\nkind = 'ostree'\n", OstreeEngine),
        (NO_HOST, "", UnsupportedEngine),
        (NO_HOST, "this is no TOML", UnsupportedEngine),
    ],
)
def test_the_engine_is_the_configured_one_or_the_one_that_fits(
    facts: HostFacts, snippet: str, engine: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on(monkeypatch, facts, snippet, tmp_path)
    assert type(asyncio.run(choose_engine())) is engine


def test_what_does_not_fit_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, NO_HOST, "", tmp_path)
    with pytest.raises(TidegateError) as expected:
        detect.engine_for(NO_HOST)
    engine = asyncio.run(choose_engine())
    with pytest.raises(TidegateError) as caught:
        asyncio.run(engine.status())
    assert caught.value.failure == expected.value.failure
    assert load((tmp_path,)).problems == ()


class Systemd:
    """Hears what the process says about itself."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)

    async def hears(self) -> str:
        return (await asyncio.get_running_loop().sock_recv(self._socket, 4096)).decode()

    def close(self) -> None:
        self._socket.close()


@asynccontextmanager
async def process(daemon: PrivateBus, systemd: Systemd) -> AsyncGenerator[asyncio.subprocess.Process]:
    """``tidegate engine-helper``, ready."""
    environment = os.environ | {
        "DBUS_SYSTEM_BUS_ADDRESS": daemon.address,
        "NOTIFY_SOCKET": str(systemd.path),
        "PYTHONPATH": str(Path(tidegate.__file__).parents[1]),
    }
    program = "import sys; from tidegate.cli.entry import main; sys.argv[1:] = ['engine-helper']; sys.exit(main())"
    command = (sys.executable, "-W", "error", "-c", program)
    child = await asyncio.create_subprocess_exec(*command, env=environment, stderr=asyncio.subprocess.PIPE)
    try:
        assert await systemd.hears() == "READY=1"
        yield child
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


async def told(child: asyncio.subprocess.Process) -> str:
    _, errors = await child.communicate()
    return errors.decode()


@pytest.fixture
def systemd(tmp_path: Path) -> Generator[Systemd]:
    heard = Systemd(tmp_path / "notify")
    yield heard
    heard.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: the helper serves root and the agent's user only")
def test_it_serves_and_ends_at_sigterm(systemd: Systemd) -> None:
    async def scenario() -> None:
        with private_bus() as daemon:
            async with process(daemon, systemd) as child, connected(daemon.address) as bus:
                with pytest.raises(TidegateError) as caught:
                    await RemoteEngine(bus).status()
                assert caught.value.kind is ErrorKind.ENGINE_UNSUPPORTED_HOST
                child.send_signal(signal.SIGTERM)
                assert await systemd.hears() == "STOPPING=1"
                assert "Traceback" not in await told(child)
                assert child.returncode == 0
                assert not await bus.has_owner(ENGINE.destination)

    run(scenario())


def test_a_lost_bus_ends_it_with_one_line(systemd: Systemd) -> None:
    async def scenario() -> None:
        with private_bus() as daemon:
            async with process(daemon, systemd) as child:
                daemon.kill()
                text = await told(child)
                assert child.returncode not in {0, None}
                assert "the connection to the bus ended" in text
                assert "Traceback" not in text

    run(scenario())
