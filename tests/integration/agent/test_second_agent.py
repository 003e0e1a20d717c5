"""A second agent on one host: the bus refuses it, and it leaves no trace."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.alarm import FakeAlarm
from tests.fakes.asyncs import run
from tests.fakes.clock import FakeClock
from tests.fakes.logind import FakeLogind
from tests.fakes.private_bus import connected, private_bus
from tests.fakes.systemd1 import FakeSystemd1
from tidegate.agent_api.client import AGENT
from tidegate.app import Paths, run_agent
from tidegate.errors import TidegateError
from tidegate.journal.log import JournalLog
from tidegate.journal.native import Fields
from tidegate.records.store import FILE_NAME


class _Nowhere:
    def write(self, fields: Fields) -> None:
        """Drop it."""


def test_a_second_agent_leaves_the_snapshot_of_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    public, state = tmp_path / "public", tmp_path / "state"
    public.mkdir()
    state.mkdir()
    for name in ("status.json", "motd", "reboot-required"):
        (public / name).write_text("of the first")
    clock = FakeClock()

    async def scenario(address: str) -> None:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
        async with connected(address) as first:
            await FakeLogind().serve(first)
            await FakeSystemd1().serve(first)
            await first.request_name(AGENT.destination)
            paths = Paths((tmp_path / "no-snippets",), state, public)
            with pytest.raises(TidegateError, match="name"):
                await run_agent(paths, clock, FakeAlarm(clock), JournalLog(_Nowhere(), clock))

    with private_bus() as bus:
        run(scenario(bus.address))
    assert {file.name: file.read_text() for file in public.iterdir()} == dict.fromkeys(
        ("status.json", "motd", "reboot-required"), "of the first"
    )
    assert not (state / FILE_NAME).exists()
