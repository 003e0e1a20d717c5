"""From settings to gates: which there are, in which order, and what each may do."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes.asyncs import run
from tests.fakes.builders import at, release
from tests.fakes.clock import START
from tests.fakes.logind import FakeLogind
from tests.fakes.private_bus import PrivateBus, private_bus
from tidegate.bus.bus import Bus
from tidegate.bus.interface import Interface, Property
from tidegate.bus.message import Typed
from tidegate.calendar.spec import WindowSpec
from tidegate.gates.base import Allow, Question, Verdict, Wait
from tidegate.gates.clock import ClockSettings
from tidegate.gates.interval import IntervalSettings
from tidegate.gates.periodic import PeriodicSettings
from tidegate.gates.select import GateSources, local_gates
from tidegate.gates.sessions import SessionsSettings
from tidegate.release import Purpose
from tidegate.services.logind import Logind
from tidegate.services.timedate import TIMEDATE, Timedate
from tidegate.settings import Settings

ALWAYS_OPEN = PeriodicSettings(windows=(WindowSpec((0, 1, 2, 3, 4, 5, 6), 0, 24 * 60),))
OPEN_FOR_AN_HOUR = PeriodicSettings(windows=(WindowSpec((0,), 10 * 60, 60),))  # START is a Monday, at 10:00


def settings(*strategies: str, periodic: PeriodicSettings = ALWAYS_OPEN) -> Settings:
    plain = Settings().having(periodic)
    return replace(plain, updates=replace(plain.updates, strategy=strategies or ("immediate",)))


@asynccontextmanager
async def sources(daemon: PrivateBus, logind: FakeLogind, *, synchronized: bool = True) -> AsyncGenerator[GateSources]:
    """What gates ask, on a bus of its own."""
    server, client = await Bus.connect(daemon.address), await Bus.connect(daemon.address)
    await logind.serve(server)
    timedated = Interface(TIMEDATE.interface, properties=(Property("NTPSynchronized", "b", lambda: synchronized),))
    server.export(TIMEDATE.path, timedated)
    await server.request_name(TIMEDATE.destination)
    try:
        yield GateSources(Logind(client), Timedate(client), 0.0)
    finally:
        await client.close()
        await server.close()


async def ask_each(configured: Settings, there: GateSources) -> dict[str, Verdict]:
    """As the panel asks them: each, with what those before it said of how long."""
    verdicts: dict[str, Verdict] = {}
    for gate in local_gates(configured, there):
        ends = [one.until for one in verdicts.values() if isinstance(one, Allow) and one.until is not None]
        asked = Question(release("2"), Purpose.UPDATE, at(0), min(ends, default=None))
        verdicts[gate.name] = await gate.ask(asked)
    return verdicts


def verdicts_of(configured: Settings, logind: FakeLogind, *, synchronized: bool = True) -> dict[str, Verdict]:
    found: dict[str, Verdict] = {}

    async def scenario() -> None:
        with private_bus() as daemon:
            async with sources(daemon, logind, synchronized=synchronized) as there:
                found.update(await ask_each(configured, there))

    run(scenario())
    return found


def waiting(verdicts: dict[str, Verdict]) -> list[str]:
    return [name for name, verdict in verdicts.items() if isinstance(verdict, Wait)]


def test_a_quiet_host_without_any_setting_may_reboot() -> None:
    verdicts = verdicts_of(Settings(), FakeLogind(), synchronized=False)
    assert (list(verdicts), waiting(verdicts)) == (["immediate", "inhibitors", "clock", "sessions"], [])


def test_the_gates_come_cheapest_first_and_sessions_last() -> None:
    configured = settings("periodic", "fleet_lock", "immediate").having(IntervalSettings(60))
    verdicts = verdicts_of(configured, FakeLogind())
    assert list(verdicts) == ["periodic", "immediate", "interval", "inhibitors", "clock", "sessions"]
    assert waiting(verdicts) == []


def test_gates_can_be_switched_off_and_inhibitors_not() -> None:
    configured = Settings().having(SessionsSettings(enabled=False), ClockSettings("never"))
    logind = FakeLogind()
    logind.log_in("1")
    logind.inhibit("backup", "backup running")
    verdicts = verdicts_of(configured, logind)
    assert (list(verdicts), waiting(verdicts)) == (["immediate", "inhibitors"], ["inhibitors"])


def test_somebody_who_is_logged_in_is_found_on_the_bus() -> None:
    logind = FakeLogind()
    logind.log_in("1", "gdm", 120, {"Class": Typed("s", "greeter")})
    logind.log_in("2", "core")
    logind.log_in("3", "bob", changed={"RemoteHost": Typed("s", "10.0.0.7"), "TTY": Typed("s", "pts/9")})
    logind.log_out_when_listed("4")
    verdict = verdicts_of(Settings(), logind)["sessions"]
    assert isinstance(verdict, Wait)
    assert "core on pts/3" in verdict.reason
    assert "bob on pts/9 from 10.0.0.7" in verdict.reason
    assert "gdm" not in verdict.reason
    assert verdict.notice is not None
    assert verdict.notice.terminals == ("pts/3", "pts/9")


@pytest.mark.parametrize(
    "changed",
    [
        {"Class": None, "State": None, "Type": None, "TimestampMonotonic": None, "Timestamp": None},
        {"Class": Typed("u", 7), "IdleHint": Typed("s", "yes"), "IdleSinceHint": Typed("s", "1970")},
        {"Timestamp": Typed("t", 2**64 - 1), "IdleSinceHint": Typed("t", 2**64 - 1)},
    ],
)
def test_a_session_that_says_nothing_of_itself_is_somebody(changed: dict[str, Typed | None]) -> None:
    logind = FakeLogind()
    logind.log_in("1", changed=changed)
    configured = Settings().having(SessionsSettings(ignore_idle_secs=60))
    assert waiting(verdicts_of(configured, logind)) == ["sessions"]


def test_a_session_that_cannot_be_read_is_not_ignored() -> None:
    logind = FakeLogind(sessions_readable=False)
    logind.log_in("1", changed={"Class": Typed("s", "greeter")})
    verdict = verdicts_of(Settings(), logind)["sessions"]
    assert isinstance(verdict, Wait)
    assert "it is not known who is logged in" in verdict.reason
    assert "not for you" in verdict.reason


def usec(secs_before_start: float) -> Typed:
    return Typed("t", int((START - timedelta(seconds=secs_before_start)).timestamp() * 1e6))


@pytest.mark.parametrize(
    ("kind", "hint", "idle_secs", "counted"),
    [
        ("tty", False, 61, False),  # logind's hint comes after half an hour; the time of the last input is always there
        ("tty", False, 5, True),
        ("wayland", False, 61, True),  # when it last changed its mind, and it is not idle
        ("wayland", True, 61, False),
    ],
)
def test_idle_is_what_logind_knows_of_each_kind(kind: str, hint: bool, idle_secs: int, counted: bool) -> None:
    logind = FakeLogind()
    told = {"Type": Typed("s", kind), "IdleHint": Typed("b", hint), "IdleSinceHint": usec(idle_secs)}
    logind.log_in("1", changed={**told, "TimestampMonotonic": Typed("t", 30_000_000)})
    configured = Settings().having(SessionsSettings(ignore_idle_secs=60))
    assert waiting(verdicts_of(configured, logind)) == (["sessions"] if counted else [])


def test_the_grace_period_takes_the_end_of_the_window_into_account() -> None:
    logind = FakeLogind()
    logind.log_in("1")
    configured = settings("periodic", periodic=OPEN_FOR_AN_HOUR).having(SessionsSettings(grace_secs=3600))
    verdict = verdicts_of(configured, logind)["sessions"]
    assert isinstance(verdict, Wait)
    assert verdict.notice is None
    assert "allowed only before 2026-03-02T11:00:00Z" in verdict.reason


@pytest.mark.parametrize(
    ("configured", "waits"),
    [
        (settings("immediate"), False),
        (settings("periodic"), True),  # even where it is open for as long as it looks ahead
        (settings("periodic", periodic=OPEN_FOR_AN_HOUR), True),
        (settings("periodic").having(ClockSettings("never")), False),
        (settings("immediate").having(ClockSettings("always")), True),
    ],
)
def test_the_clock_matters_where_something_depends_on_it(configured: Settings, waits: bool) -> None:
    assert waiting(verdicts_of(configured, FakeLogind(), synchronized=False)) == (["clock"] if waits else [])


def test_without_logind_and_timedated_nothing_is_allowed() -> None:
    async def scenario() -> None:
        with private_bus() as daemon:
            bus = await Bus.connect(daemon.address)
            there = GateSources(Logind(bus), Timedate(bus), None)
            configured = settings("periodic").having(IntervalSettings(60))
            told = {gate.name: gate for gate in local_gates(configured, there)}
            asked = Question(release("2"), Purpose.UPDATE, at(0))
            for name in ("interval", "clock", "sessions"):
                assert isinstance(await told[name].ask(asked), Wait), name
            await bus.close()

    run(scenario())
