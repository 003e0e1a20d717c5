"""The gates on whole hosts, with the logind and the terminals that they have: systemd 252 and 257."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TypeVar, cast

import pytest

from tests.e2e.lab.depot import Depot
from tests.e2e.lab.guest import Guest
from tests.e2e.people import PYTHON, log_in
from tests.e2e.world import MachineFactory
from tests.fakes.builders import release
from tests.integration.dbus.real_logind import connect_as
from tidegate.bus.bus import Bus
from tidegate.bus.errors import CallFailed
from tidegate.bus.message import Endpoint
from tidegate.clock import Now, SystemClock
from tidegate.gates.base import Allow, Gate, Question, Verdict, Wait
from tidegate.gates.inhibitors import Inhibitors
from tidegate.gates.sessions import Sessions, SessionsSettings
from tidegate.release import Purpose
from tidegate.services.logind import MANAGER, Logind
from tidegate.services.sessions import SESSION_INTERFACE, Session
from tidegate.services.timedate import Timedate

pytestmark = pytest.mark.host

SCENARIO_SECS = 600.0
SETTLE_SECS = 120.0
ROUNDING_SECS = 0.001
"""The boot clock is a float: (now + grace) - now may be a little less than the grace."""

TELL = """
import json, sys
from datetime import datetime, UTC
from pathlib import Path
from tidegate.gates.base import Notice
from tidegate.gates.terminals import deliver
undelivered = deliver(Notice("Save your work.", datetime.now(UTC), tuple(sys.argv[1:])))
print(json.dumps({one.terminal: one.why for one in undelivered}))
"""

LOOK_AROUND = """
import asyncio, json
from tidegate.clock import SystemClock
from tidegate.settings import Settings
from tidegate.bus.bus import Bus
from tidegate.services.timedate import Timedate
from tidegate.gates.base import Question, Wait
from tidegate.gates.interval import boot_began_secs
from tidegate.release import Purpose
from tidegate.release import Release
from tidegate.gates.marker_file import MarkerFile, MarkerFileSettings
from pathlib import Path

async def main():
    bus, now = await Bus.connect(), SystemClock().now()
    asked = Question(Release("2", "0" * 64), Purpose.UPDATE, now)
    verdict = await MarkerFile(Path(Settings().of(MarkerFileSettings).path)).ask(asked)
    marker = verdict.reason if isinstance(verdict, Wait) else "Allow"
    up_secs = now.boot_secs - boot_began_secs()
    print(json.dumps({"marker": marker, "up_secs": up_secs, "synchronized": await Timedate(bus).synchronized()}))
    await bus.close()

asyncio.run(main())
"""
STOP = "import os, sys, termios; termios.tcflow(os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY), termios.TCOOFF)"

T = TypeVar("T")


@pytest.fixture
def plain_guest(plain_depot: Depot, new_machine: MachineFactory) -> Guest:
    """A host without an agent, up, with a user ``bob``."""
    machine = new_machine(plain_depot.release("1"))
    machine.power_on()
    guest = machine.wait_up()
    guest.sh("useradd bob")
    return guest


@pytest.fixture
def agent_guest(depot: Depot, new_machine: MachineFactory) -> Guest:
    """A host on which the agent is installed, with a user ``bob``."""
    machine = new_machine(depot.release("1"))
    machine.power_on()
    guest = machine.wait_up()
    guest.sh("useradd bob")
    return guest


def play(scenario: Coroutine[object, object, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(SCENARIO_SECS):
            await scenario

    asyncio.run(bounded())


@asynccontextmanager
async def bus_of(guest: Guest, uid: int = 0) -> AsyncGenerator[Bus]:
    """A connection of a user of the guest. Only root finds the way to its bus, so root opens the door."""
    door = os.open(guest.bus_address.removeprefix("unix:path="), os.O_PATH)
    try:
        bus = await connect_as(uid, f"unix:path=/proc/self/fd/{door}")
    finally:
        os.close(door)
    try:
        yield bus
    finally:
        await bus.close()


async def until(what: str, look: Callable[[], Awaitable[T | None]]) -> T:
    """Poll: logind has no signal for much of it."""
    try:
        async with asyncio.timeout(SETTLE_SECS):
            while not (found := await look()):
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(what) from None
    return found


class Host:
    """What happens on a guest, and what the gates say to it."""

    def __init__(self, guest: Guest, bus: Bus) -> None:
        self.guest = guest
        self.bus = bus
        self.logind = Logind(bus)

    async def ask(self, gate: Gate, told: Now | None = None, now: Now | None = None) -> Verdict:
        noticed = {} if told is None else {gate.name: told}
        return await gate.ask(Question(release("2"), Purpose.UPDATE, now or SystemClock().now(), None, noticed))

    def sessions(self, settings: SessionsSettings | None = None) -> Gate:
        return Sessions(settings or SessionsSettings(), self.logind.sessions)

    async def wait_for(self, gate: Gate, kind: type[Wait] | type[Allow], words: str = "") -> Verdict:
        async def look() -> Verdict | None:
            verdict = await self.ask(gate)
            told = verdict.reason if isinstance(verdict, Wait) else verdict.detail
            return verdict if isinstance(verdict, kind) and words in told else None

        return await until(f"{gate.name}: {kind.__name__} {words}", look)

    async def open_session(self, kind: str, category: str, tty: str = "", remote_host: str = "") -> tuple[int, str]:
        """As PAM does it, for a process that stands for the person; gives what closes it, and its path."""
        name = f"person-{kind}-{category}"
        self.guest.sh(f"systemd-run -q --unit={name} sleep inf")
        pid = int(self.guest.sh(f"systemctl show -P MainPID {name}"))
        uid = int(self.guest.sh("id -u bob"))
        desktop = seat = display = remote_user = ""
        no_properties: tuple[object, ...] = ()
        (_, path, _, lock, *_) = await self.bus.call(
            MANAGER,
            "CreateSession",
            "uusssssussbssa(sv)",
            *(uid, pid, "test", kind, category, desktop, seat, 0, tty, display),
            *(bool(remote_host), remote_user, remote_host, no_properties),
            returns="soshusub",
        )
        return cast(int, lock), str(path)

    async def session(self, **wanted: str) -> Session:
        """The one session of which this holds, once there is one."""

        async def look() -> Session | None:
            return next((one for one in await self.logind.sessions() if wanted.items() <= shown(one).items()), None)

        return await until(f"a session with {wanted}", look)


def shown(session: Session) -> dict[str, str]:
    return {"user": session.user, "category": session.category, "tty": session.tty, "kind": session.kind}


def test_people_come_and_go(plain_guest: Guest) -> None:
    async def scenario() -> None:
        async with bus_of(plain_guest) as bus:
            host = Host(plain_guest, bus)
            gate = host.sessions()
            assert isinstance(await host.ask(gate), Allow)

            greeter, _ = await host.open_session("wayland", "greeter")
            plain_guest.sh("systemctl start user@$(id -u bob).service")  # as it lingers; 257 has a session for it
            assert isinstance(await host.ask(gate), Allow)

            remote, _ = await host.open_session("tty", "user", "pts/7", "10.0.0.7")
            verdict = await host.ask(gate)
            assert isinstance(verdict, Wait)
            assert "bob on pts/7 from 10.0.0.7 since 20" in verdict.reason
            assert verdict.notice is not None
            assert verdict.notice.terminals == ("pts/7",)
            now = SystemClock().now()
            assert isinstance(await host.ask(gate, told=now), Wait)
            after = Now(verdict.notice.until, now.boot_secs + SessionsSettings().grace_secs + ROUNDING_SECS)
            assert isinstance(await host.ask(gate, told=now, now=after), Allow)

            os.close(remote)
            plain_guest.sh("systemctl stop person-tty-user.service")
            await host.wait_for(gate, Allow, "nobody")
            os.close(greeter)

    play(scenario())


def test_a_desktop_says_when_nobody_is_there(plain_guest: Guest) -> None:
    async def scenario() -> None:
        async with bus_of(plain_guest) as bus:
            host = Host(plain_guest, bus)
            gate = host.sessions(SessionsSettings(ignore_idle_secs=1))
            lock, path = await host.open_session("wayland", "user")
            await asyncio.sleep(1.1)  # however old, it has not said that it is idle
            assert isinstance(await host.ask(gate), Wait)
            await bus.call(Endpoint(MANAGER.destination, path, SESSION_INTERFACE), "SetIdleHint", "b", True)
            await host.wait_for(gate, Allow, "nobody")
            os.close(lock)

    play(scenario())


def test_a_logind_that_cannot_be_asked_is_somebody_until_the_grace_is_over(plain_guest: Guest) -> None:
    async def scenario() -> None:
        async with bus_of(plain_guest) as bus:
            host = Host(plain_guest, bus)
            gate = host.sessions()
            plain_guest.sh("systemctl mask --runtime --now systemd-logind.service")
            verdict = await host.ask(gate)
            assert isinstance(verdict, Wait)
            assert "it is not known who is logged in" in verdict.reason
            assert "systemctl status systemd-logind.service" in verdict.remedy
            assert verdict.notice is not None
            now = SystemClock().now()
            late = replace(now, boot_secs=now.boot_secs + SessionsSettings().grace_secs + ROUNDING_SECS)
            assert isinstance(await host.ask(gate, told=now, now=late), Allow)
            plain_guest.sh("systemctl unmask --runtime systemd-logind.service")
            await host.wait_for(gate, Allow, "nobody")

    play(scenario())


def test_the_agent_sees_inhibitors_and_the_clock_and_logind_agrees(agent_guest: Guest, suite: str) -> None:
    modes = {"bookworm": ["block"], "trixie": ["block", "block-weak"]}[suite]

    async def scenario() -> None:
        agent_guest.sh("systemctl stop tidegate.service")
        async with bus_of(agent_guest, int(agent_guest.sh("id -u tidegate"))) as bus:
            host = Host(agent_guest, bus)
            for mode in modes:
                await inhibitors_come_and_go(host, mode)
            told = agent_guest.sh("timedatectl show")
            assert "NTPSynchronized=" in told
            assert await Timedate(bus).synchronized() is ("NTPSynchronized=yes" in told)

    play(scenario())


async def inhibitors_come_and_go(host: Host, mode: str) -> None:
    """Where the gate waits, logind refuses the agent as well."""
    gate = Inhibitors(host.logind.inhibitors)
    assert await host.ask(gate) == Allow("inhibitors")
    hold = f"systemd-inhibit --what=shutdown --who=backup --why='backup running' --mode={mode} sleep inf"
    host.guest.sh(f"systemd-run -q --unit=backup {hold}")
    verdict = await host.wait_for(gate, Wait)
    assert isinstance(verdict, Wait)
    assert verdict.reason == "backup holds shutdowns back: backup running"
    with pytest.raises(CallFailed):
        await host.logind.reboot()
    host.guest.sh("systemctl stop backup.service")
    await host.wait_for(gate, Allow)


def in_the_agents_sandbox(guest: Guest, script: str, *arguments: str) -> object:
    """What a Python script prints as JSON that runs as the agent's unit would: its user, groups, files, devices."""
    guest.put("/run/script.py", script)
    guest.put(
        "/run/systemd/system/tidegate.service.d/script.conf",
        "[Service]\nType=oneshot\nRestart=no\nStandardOutput=file:/run/printed\n"
        f"ExecStart=\nExecStart={PYTHON} /run/script.py {' '.join(arguments)}\n",
    )
    guest.sh("rm -f /run/printed; systemctl daemon-reload; systemctl start tidegate.service")
    return json.loads(guest.sh("cat /run/printed"))


def test_the_agent_finds_out_what_it_needs_in_its_sandbox(agent_guest: Guest) -> None:
    agent_guest.sh("systemctl stop tidegate.service")

    def look() -> dict[str, str | float]:
        return cast("dict[str, str | float]", in_the_agents_sandbox(agent_guest, LOOK_AROUND))

    assert "there is no marker" in str(look()["marker"])
    agent_guest.sh("umask 022; echo '{}' > /var/lib/tidegate/allow-reboot.json")
    allowed = look()
    assert allowed["marker"] == "Allow"
    assert 0 < float(allowed["up_secs"]) < 3600  # not since the machine under the container was switched on
    assert allowed["synchronized"] in {True, False}
    agent_guest.sh("chown bob /var/lib/tidegate/allow-reboot.json")
    assert "not to root" in str(look()["marker"])


async def logged_in(host: Host, name: str, user: str, mode: str) -> str:
    """A login on a terminal of its own, as logind tells of it; gives the terminal."""
    found = await host.session(tty=log_in(host.guest, name, user, mode))
    assert (found.user, found.kind) == (user, "tty")
    assert found.last_input is not None
    return found.tty


def test_people_read_the_notice_on_their_terminals(agent_guest: Guest, suite: str) -> None:
    async def scenario() -> None:
        guest = agent_guest
        assert guest.sh("systemctl is-active tidegate.service").strip() == "active"
        guest.sh("systemctl stop tidegate.service")
        async with bus_of(guest) as bus:
            host = Host(guest, bus)
            listening = await logged_in(host, "listening", "bob", "620")
            silent = await logged_in(host, "silent", "bob", "600")
            stopped = await logged_in(host, "stopped", "root", "620")
            guest.sh(f"{PYTHON} -c '{STOP}' /dev/{stopped}")
            verdict = await host.ask(host.sessions())
            assert isinstance(verdict, Wait)
            assert verdict.notice is not None
            assert set(verdict.notice.terminals) == {listening, silent, stopped}
            assert (await host.session(user="root", kind="tty")).category == (
                "user" if suite == "bookworm" else "user-early"
            )

            undelivered = in_the_agents_sandbox(guest, TELL, listening, silent, stopped, "pts/999")
            assert undelivered == {
                silent: "takes no messages (mesg n)",
                stopped: "stopped",
                "pts/999": "No such file or directory",
            }
            assert "\a\n\nSave your work.\n" in (guest.read("/run/listening.seen") or "")
            assert "Save" not in (guest.read("/run/silent.seen") or "")

    play(scenario())


def test_people_read_the_notice_on_a_console_too(agent_guest: Guest) -> None:
    """A container has none of its own; to the sandbox a node with the number of one is one."""
    guest = agent_guest
    guest.sh("systemctl stop tidegate.service; mknod -m 620 /dev/tty1 c 4 1; chgrp tty /dev/tty1")
    undelivered = cast("dict[str, str]", in_the_agents_sandbox(guest, TELL, "tty1", "tty2"))
    if undelivered.get("tty1") == "No such device or address":
        pytest.skip("this machine's kernel has no consoles")
    assert undelivered == {"tty2": "No such file or directory"}
