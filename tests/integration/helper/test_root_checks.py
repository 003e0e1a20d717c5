"""Health checks of the helper over a real bus: by configured name only."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fakes.asyncs import run, until
from tests.fakes.private_bus import connected, private_bus, two
from tidegate.bus.bus import Bus
from tidegate.errors import ErrorKind, TidegateError
from tidegate.health.base import Weight
from tidegate.health.check import CheckResult
from tidegate.health.checks.command import CommandCheck
from tidegate.health.remote import Command, Executables, RemoteChecks
from tidegate.helper.checks import RootChecks
from tidegate.helper.checks_service import ServedChecks
from tidegate.helper.idle import Idle
from tidegate.helper.transient import Job
from tidegate.system.boot import BootInstance

US = frozenset({os.getuid()})
CURSOR = "s=1;i=2"
COMMANDS = """
[[health.command]]
name = "fine"
command = ["/usr/bin/true", "$x"]
[[health.command]]
name = "nobodys"
command = ["/usr/bin/id"]
user = "nobody"
timeout_secs = 7
"""
WELL = CheckResult(passed=True, detail="ended well")
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: what is run belongs to root")


@dataclass
class Host:
    """Folders of a host, and in place of systemd somebody who takes note of what is run."""

    root: Path
    jobs: list[Job] = field(default_factory=list[Job])
    answers: dict[str, CheckResult] = field(default_factory=dict[str, CheckResult])
    hold: asyncio.Event | None = None
    ended: list[str] = field(default_factory=list[str])

    async def run_job(self, job: Job) -> CheckResult:
        self.jobs.append(job)
        try:
            if self.hold is not None:
                await self.hold.wait()
        finally:
            self.ended.append(job.name)
        return self.answers.get(job.name, WELL)

    @property
    def checks(self) -> RootChecks:
        """A new helper's."""
        return RootChecks(
            this_boot,
            config_roots=[self.root / "config.d"],
            root=self.root,
            passed=self.root / "run/passed",
            run_job=self.run_job,
        )

    def configure(self, text: str) -> None:
        (self.root / "config.d").mkdir(exist_ok=True)
        (self.root / "config.d/50.toml").write_text(text, encoding="utf-8")

    def put(self, path: str, mode: int = 0o755) -> Path:
        found = self.root / path
        found.parent.mkdir(parents=True, exist_ok=True)
        found.write_text("#!/bin/sh\n")
        found.chmod(mode)
        return found


async def this_boot() -> BootInstance:
    return BootInstance("b")


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host with two commands and a program."""
    host = Host(tmp_path)
    host.configure(COMMANDS)
    host.put("etc/tidegate/health.d/required/10-a.sh")
    return host


@pytest.fixture(scope="module")
def address() -> Generator[str]:
    """Where a real dbus-daemon listens."""
    with private_bus() as bus:
        yield bus.address


@asynccontextmanager
async def served(address: str, host: Host, uids: frozenset[int] = US) -> AsyncGenerator[RemoteChecks]:
    """The helper's checks, as an agent sees them."""
    async with two(address) as (helper, agent):
        await serve(helper, host, uids)
        yield RemoteChecks(agent)


async def serve(bus: Bus, host: Host, uids: frozenset[int] = US) -> None:
    async def cursor() -> str:
        return CURSOR

    ServedChecks(bus, host.checks, uids, Idle(1000), cursor)
    await bus.request_name("org.tidegate.Engine1")


def refused(host: Host, name: str) -> ErrorKind:
    with pytest.raises(TidegateError) as caught:
        asyncio.run(host.checks.run(name))
    return caught.value.kind


def test_commands_are_run_as_they_are_configured(address: str, host: Host) -> None:
    async def scenario() -> None:
        async with served(address, host) as remote:
            for check in (CommandCheck("fine", ("/other",)), CommandCheck("nobodys", ("/other",), weight="advisory")):
                command = Command(check, remote)
                assert (command.name, command.weight) == (f"command/{check.name}", Weight(check.weight))
                assert await command.run() == WELL
        fine, nobodys = host.jobs
        assert (fine.argv, fine.timeout_secs) == (("/usr/bin/true", "$x"), 30)
        assert (nobodys.argv, nobodys.timeout_secs) == (("/usr/bin/id",), 7)
        assert "DynamicUser=yes" in fine.settings
        assert "User=nobody" in nobodys.settings
        assert {"NoNewPrivileges=yes", "ProtectSystem=strict"} <= set(fine.settings) & set(nobodys.settings)

    run(scenario())


def test_commands_are_run_at_every_look(host: Host) -> None:
    checks = host.checks
    for _look in range(2):
        asyncio.run(checks.run("command/fine"))
    assert len(host.jobs) == 2


@root_only
def test_programs_are_run_until_they_have_passed_and_then_for_the_boot(address: str, host: Host) -> None:
    async def scenario() -> None:
        bad = CheckResult(passed=False, detail="exit code 1")
        host.answers["required/10-a.sh"] = bad
        async with served(address, host) as remote:
            (program,) = await Executables(20, remote).found()
            assert (program.name, program.weight) == ("required/10-a.sh", Weight.REQUIRED)
            assert [await program.run(), await program.run()] == [bad, bad]
            del host.answers["required/10-a.sh"]
            assert [await program.run(), await program.run()] == [WELL, WELL]
        assert [job.settings for job in host.jobs] == [()] * 3
        assert host.jobs[0].argv == (str(host.root / "etc/tidegate/health.d/required/10-a.sh"),)
        assert (await host.checks.run("required/10-a.sh")).detail == "passed earlier in this boot"
        assert len(host.jobs) == 3

    run(scenario())


@root_only
def test_what_others_can_write_is_not_run(host: Host) -> None:
    host.put("etc/tidegate/health.d/required/10-a.sh", 0o777)
    seen = asyncio.run(host.checks.run("required/10-a.sh"))
    assert (seen.passed, host.jobs) == (False, [])
    assert seen.detail.endswith("10-a.sh can be written by others than root")


def test_programs_are_listed_once(address: str, host: Host) -> None:
    async def scenario() -> None:
        async with served(address, host) as remote:
            executables = Executables(20, remote)
            before = await executables.found()
            host.put("etc/tidegate/health.d/required/20-b.sh")
            assert await executables.found() == before
            assert len(await Executables(20, remote).found()) == 2

    run(scenario())


def test_a_configuration_that_has_gone_bad_leaves_what_was_good(host: Host) -> None:
    checks = host.checks
    assert asyncio.run(checks.run("command/fine")) == WELL
    host.configure("typing error")
    assert asyncio.run(checks.run("command/fine")) == WELL
    host.configure("")
    with pytest.raises(TidegateError):
        asyncio.run(checks.run("command/fine"))
    host.configure("typing error")
    assert refused(host, "command/fine") is ErrorKind.HEALTH_UNKNOWN_CHECK


def test_a_check_runs_once_at_a_time(host: Host) -> None:
    async def scenario() -> None:
        host.hold = asyncio.Event()
        checks = host.checks
        both = [asyncio.create_task(checks.run("command/fine")) for _ in range(2)]
        other = asyncio.create_task(checks.run("command/nobodys"))
        await until(lambda: len(host.jobs) == 2)
        for _round in range(10):
            await asyncio.sleep(0)
        assert [job.name for job in host.jobs] == ["command/fine", "command/nobodys"]
        host.hold.set()
        await asyncio.gather(*both, other)
        assert len(host.jobs) == 3

    run(scenario())


def test_who_leaves_takes_the_check_along(address: str, host: Host) -> None:
    async def scenario() -> None:
        host.hold = asyncio.Event()
        async with connected(address) as helper:
            await serve(helper, host)
            async with connected(address) as agent:
                asking = asyncio.create_task(RemoteChecks(agent).run("command/fine", 60))
                await until(lambda: len(host.jobs) == 1)
            with pytest.raises(TidegateError):
                await asking
            await until(lambda: host.ended == ["command/fine"])

    run(scenario())


def test_strangers_are_not_served(address: str, host: Host) -> None:
    async def scenario() -> None:
        async with served(address, host, frozenset()) as remote:
            for call in (remote.run("command/fine", 1), remote.executables(), remote.journal_cursor()):
                with pytest.raises(TidegateError) as caught:
                    await call
                assert caught.value.kind is ErrorKind.HEALTH_UNREADABLE
                assert "for root and the agent only" in caught.value.message
        assert host.jobs == []

    run(scenario())


def test_the_journals_place(address: str, host: Host) -> None:
    async def scenario() -> None:
        async with served(address, host) as remote:
            assert await remote.journal_cursor() == CURSOR

    run(scenario())


def test_no_helper(address: str) -> None:
    async def scenario() -> None:
        async with connected(address) as agent:
            with pytest.raises(TidegateError) as caught:
                await RemoteChecks(agent).executables()
            assert caught.value.kind is ErrorKind.HEALTH_UNREADABLE
            assert "tidegate-engine.service" in caught.value.remedy

    run(scenario())


def test_a_folder_that_cannot_be_read(address: str, host: Host) -> None:
    async def scenario() -> None:
        (host.root / "etc/tidegate/health.d/wanted").symlink_to("wanted")
        async with served(address, host) as remote:
            with pytest.raises(TidegateError) as caught:
                await remote.executables()
            assert "health.d/wanted" in caught.value.message

    run(scenario())


_COMMANDS = ["", "/", "command/", "command/../fine", "command/fine\n", "command//fine", "fine", "COMMAND/fine"]
_PROGRAMS = ["required/10-A.sh", "required/../required/10-a.sh", "required/10-a.sh\0", "greenboot-required/10-a.sh"]
_STRANGE = [
    "wanted/10-a.sh",
    "command/*",
    "command/%66ine",
    "x" * 1_000_000,
    "command/f\u0131ne",
    "--",
    "-h",
    "$(id)",
]
NEAR_MISSES = [*_COMMANDS, *_PROGRAMS, *_STRANGE]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.text(max_size=200) | st.sampled_from(NEAR_MISSES) | st.text(alphabet="./comandfirequ10-h\n\0%", max_size=40))
def test_any_other_name_runs_nothing(host: Host, name: str) -> None:
    if name in {"command/fine", "command/nobodys", "required/10-a.sh"}:
        return
    with pytest.raises(TidegateError) as caught:
        asyncio.run(host.checks.run(name))
    assert caught.value.kind is ErrorKind.HEALTH_UNKNOWN_CHECK
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 600
    assert host.jobs == []


@pytest.mark.parametrize("name", [name for name in NEAR_MISSES if "\0" not in name and len(name) < 1000])
def test_nor_does_it_over_the_bus(address: str, host: Host, name: str) -> None:
    async def scenario() -> None:
        async with served(address, host) as remote:
            with pytest.raises(TidegateError) as caught:
                await remote.run(name, 1)
            assert caught.value.kind is ErrorKind.HEALTH_UNKNOWN_CHECK
        assert host.jobs == []

    run(scenario())
