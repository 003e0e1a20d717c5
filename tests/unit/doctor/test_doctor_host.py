"""What the doctor makes of folders, room, ids, clocks, checks, servers and configurations."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.fakes.clock import START
from tidegate.clock import Now
from tidegate.config.problems import Problem
from tidegate.discovery.base import Offers
from tidegate.doctor import (
    boot_disk,
    clock,
    configuration,
    discovery,
    disk_space,
    engine,
    folders,
    health,
    identity,
    lock,
)
from tidegate.doctor.base import AgentUser, Area, Finding, Host, Status
from tidegate.doctor.folders import Place
from tidegate.doctor.reach import Reached, Unreached
from tidegate.doctor.reading import FileFacts, Unit
from tidegate.engines.facts import BootcAnswer, HostFacts
from tidegate.engines.ostree.source import Source
from tidegate.engines.ostree.space import Disk
from tidegate.errors import ErrorKind, Failure
from tidegate.health.checks.command import CommandCheck
from tidegate.health.checks.unit import UnitCheck
from tidegate.identity import HostIdentity
from tidegate.release import Release
from tidegate.settings import Settings

NO_FLUSH, OWN_FLUSH = (2022, 7), (2025, 2)
RUNS = Unit(boot_disk.SHUTDOWN, "loaded", "enabled", "active")


@pytest.mark.parametrize(
    ("version", "disk", "unit", "found"),
    [
        (NO_FLUSH, boot_disk.Disk("ext4", journal=True), RUNS, {"boot-disk": Status.WARNING}),
        (NO_FLUSH, boot_disk.Disk("xfs", journal=True), RUNS, {"boot-disk": Status.WARNING}),
        (NO_FLUSH, boot_disk.Disk("vfat", journal=False), RUNS, {"boot-disk": Status.OK}),
        (OWN_FLUSH, boot_disk.Disk("ext4", journal=True), RUNS, {"boot-disk": Status.OK}),
        (OWN_FLUSH, None, RUNS, {"boot-disk": Status.UNKNOWN}),
        (
            OWN_FLUSH,
            boot_disk.Disk("ext4", journal=True),
            replace(RUNS, active="inactive"),
            {"boot-disk": Status.OK, "shutdown": Status.WARNING},
        ),
    ],
)
def test_the_hole_of_an_old_ostree_is_named(
    version: tuple[int, int], disk: boot_disk.Disk | None, unit: Unit, found: dict[str, Status]
) -> None:
    assert statuses(boot_disk.judge(Area("boot"), version, disk, unit)) == found


@pytest.mark.parametrize(
    ("version", "installed", "found"),
    [(NO_FLUSH, True, {}), (NO_FLUSH, False, {"boot-order": Status.WARNING}), (OWN_FLUSH, False, {})],
)
def test_an_old_ostree_needs_its_bindings(version: tuple[int, int], installed: bool, found: dict[str, Status]) -> None:
    assert statuses(boot_disk.judge_bindings(Area("boot"), version, installed=installed)) == found


@pytest.mark.parametrize(
    ("mounts", "journals", "disk"),
    [
        ("/dev/vda1 /boot ext4 rw 0 0\n/dev/vda2 / ext4 rw 0 0\n", ("vda1-8",), boot_disk.Disk("ext4", journal=True)),
        ("/dev/vda1 /boot ext4 rw 0 0\n/dev/vda2 / ext4 rw 0 0\n", ("vda2-8",), boot_disk.Disk("ext4", journal=False)),
        ("/dev/vda2 /sysroot xfs rw 0 0\noverlay / overlay rw 0 0\n", (), boot_disk.Disk("xfs", journal=True)),
        ("/dev/vda1 /boot vfat rw 0 0\n/dev/vda2 / ext4 rw 0 0\n", ("vda2-8",), boot_disk.Disk("vfat", journal=False)),
        ("proc /proc proc rw 0 0\n", (), None),
    ],
)
def test_the_file_system_of_boot(
    tmp_path: Path, mounts: str, journals: tuple[str, ...], disk: boot_disk.Disk | None
) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/mounts").write_text(mounts, encoding="ascii")
    for journal in journals:
        (tmp_path / "proc/fs/jbd2" / journal).mkdir(parents=True)
    assert boot_disk.read_disk(tmp_path) == disk


AGENT = AgentUser(991, frozenset({991, 5}))
WHO = HostIdentity("default", "x86_64", node_uuid="0" * 31 + "1")
HOST = Host(Settings(), (), {}, WHO, AGENT, 0)


def statuses(findings: Iterable[Finding]) -> dict[str, Status]:
    return {finding.check: finding.status for finding in findings}


def wrong(findings: Iterable[Finding]) -> dict[str, Finding]:
    return {finding.check: finding for finding in findings if finding.status is not Status.OK}


def file(path: str, mode: int, uid: int = 0, gid: int = 0, *, folder: bool = False) -> FileFacts:
    return FileFacts(Path(path), True, mode, uid, gid, folder)


RECORDS = Place("records", folders.RECORDS, folders.USER, 0o640)


@pytest.mark.parametrize(
    ("found", "status", "remedy"),
    [
        (file("/r", 0o640, 991), Status.OK, ""),
        (file("/r", 0o600, 991), Status.OK, ""),
        (file("/r", 0o666, 991), Status.PROBLEM, "chmod 0640 /r"),
        (file("/r", 0o640, 0), Status.PROBLEM, "chown tidegate: /r"),
        (file("/r", 0o644, 1000), Status.PROBLEM, "chown tidegate: /r && chmod 0640 /r"),
        (FileFacts(Path("/r"), error="Permission denied"), Status.UNKNOWN, "run it as root"),
    ],
)
def test_a_place_that_others_could_change_is_named(found: FileFacts, status: Status, remedy: str) -> None:
    (finding,) = folders.judge_place(RECORDS, found, AGENT)
    assert finding.status is status
    assert finding.remedy.startswith(remedy)


def test_a_place_may_be_missing_only_where_it_is_made_later() -> None:
    assert not [*folders.judge_place(RECORDS, FileFacts(Path("/r")), AGENT)]
    (finding,) = folders.judge_place(replace(RECORDS, make="make it"), FileFacts(Path("/r")), AGENT)
    assert (finding.status, finding.remedy) == (Status.PROBLEM, "make it")


def test_without_the_agents_user_nothing_else_is_judged() -> None:
    facts = folders.Facts({}, (), "")
    assert statuses(folders.judge(facts, None)) == {"user": Status.PROBLEM}


def test_snippets_that_others_may_change_and_records_without_sense_are_named() -> None:
    files = {
        place.path: file(f"/{place.path}", place.most, 0 if place.owner == "root" else 991) for place in folders.PLACES
    }
    good = folders.Facts(files, (), "")
    assert wrong(folders.judge(good, AGENT)) == {}
    loose = replace(good, loose_snippets=(file("/etc/tidegate/config.d/x.toml", 0o666),))
    assert "chmod go-w /etc/tidegate/config.d/x.toml" in wrong(folders.judge(loose, AGENT))["snippets"].remedy
    assert "records" in wrong(folders.judge(replace(good, unreadable_records="line 1"), AGENT))


ROOMY = disk_space.Facts(Disk(10**9, 10**9), 10**8, Disk(10**11, 10**11), 10**9, None)


def test_a_host_with_room_has_room() -> None:
    assert wrong(disk_space.judge(ROOMY)) == {}


@pytest.mark.parametrize(
    ("facts", "check", "status"),
    [
        (replace(ROOMY, boot=Disk(10**9, 10**8)), "boot-space", Status.PROBLEM),
        (replace(ROOMY, sysroot=Disk(10**11, 3 * 10**9)), "sysroot-space", Status.PROBLEM),
        (replace(ROOMY, sysroot=Disk(10**11, 3 * 10**9 + 10**8)), "sysroot-space", Status.WARNING),
        (replace(ROOMY, release_bytes=None), "sysroot-space", Status.UNKNOWN),
    ],
)
def test_a_place_without_room_is_named(facts: disk_space.Facts, check: str, status: Status) -> None:
    found = wrong(disk_space.judge(facts))
    assert statuses(found.values()) == {check: status}
    if status is not Status.UNKNOWN:
        assert found[check].remedy.startswith("enlarge /")
        assert wrong(disk_space.judge(replace(facts, rollback=1)))[check].remedy == "ostree admin undeploy 1"


@pytest.mark.parametrize(
    ("text", "status", "bugs"),
    [
        (" Version: '2022.1'\n", Status.PROBLEM, 0),
        (" Version: '2022.7'\n", Status.OK, 5),
        (" Version: '2025.2'\n", Status.OK, 0),
        ("nonsense", Status.UNKNOWN, 0),
    ],
)
def test_a_version_of_ostree_is_known_for_its_bugs(text: str, status: Status, bugs: int) -> None:
    (finding,) = engine.judge_version(text)
    assert finding.status is status
    assert len(finding.evidence) == bugs


def test_a_host_of_another_engine_is_told_whose_it_is() -> None:
    plain = HostFacts(ostree_booted=True, ostree_installed=True, rpm_ostree=False, bootc=BootcAnswer.ABSENT)
    other = replace(plain, rpm_ostree=True)
    assert [one.status for one in engine.judge_kind("auto", plain)] == [Status.OK]
    assert "rpm-ostree" in engine.judge_kind("auto", other)[0].message
    assert engine.judge_kind("auto", other)[0].status is Status.PROBLEM
    assert [one.status for one in engine.judge_kind("ostree", other)] == [Status.OK]


SOURCE = Source("lab", "lab/stable")


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (engine.RemoteFacts(SOURCE, "u", True, Reached("h:80")), {"remote": Status.OK, "signatures": Status.OK}),
        (engine.RemoteFacts(SOURCE, "u", True, None), {"remote": Status.OK, "signatures": Status.OK}),
        (engine.RemoteFacts(SOURCE, "u", False, Reached("h:80")), {"remote": Status.OK, "signatures": Status.WARNING}),
        (
            engine.RemoteFacts(SOURCE, "u", True, Unreached("h:80", "refused")),
            {"remote": Status.PROBLEM, "signatures": Status.OK},
        ),
        (Failure(ErrorKind.ENGINE_FAILED, "no remote"), {"remote": Status.PROBLEM}),
    ],
)
def test_a_remote_is_judged_by_its_answer_and_its_signatures(
    facts: engine.RemoteFacts | Failure, expected: dict[str, Status]
) -> None:
    assert statuses(engine.judge_remote(SOURCE, facts)) == expected


OWN = identity.Ids("a" * 32, "", "a" * 32)


@pytest.mark.parametrize(
    ("ids", "configured", "status"),
    [
        (OWN, False, Status.OK),
        (replace(OWN, dbus=""), False, Status.OK),
        (replace(OWN, image="a" * 32), False, Status.PROBLEM),
        (replace(OWN, image="a" * 32), True, Status.WARNING),
        (replace(OWN, image="uninitialized"), False, Status.OK),
        (replace(OWN, dbus="b" * 32), False, Status.WARNING),
    ],
)
def test_a_machine_id_that_others_have_is_named(ids: identity.Ids, configured: bool, status: Status) -> None:
    assert statuses(identity.judge(ids, WHO, configured=configured)) == {"host-id": Status.OK, "machine-id": status}


def test_a_host_without_an_id_or_with_a_doubtful_one_is_named() -> None:
    nobody = replace(WHO, node_uuid=None, doubts=("this host has no id",))
    none = identity.Ids("", "", "")
    assert statuses(identity.judge(none, nobody, configured=False)) == {"host-id": Status.PROBLEM}
    doubtful = [*identity.judge(OWN, replace(WHO, doubts=("of this boot only",)), configured=False)]
    assert [one.status for one in doubtful] == [Status.OK, Status.WARNING, Status.OK]


RIGHT = clock.Facts(Now(START, 0.0), synchronized=True, service=True, service_known=True)


@pytest.mark.parametrize(
    ("facts", "needed", "status", "remedy"),
    [
        (RIGHT, True, Status.OK, ""),
        (replace(RIGHT, synchronized=False), False, Status.WARNING, "see timedatectl"),
        (replace(RIGHT, synchronized=False, service=False), True, Status.PROBLEM, "timedatectl set-ntp true"),
        (
            replace(RIGHT, synchronized=False, service=False, service_known=False),
            True,
            Status.PROBLEM,
            "install a time service",
        ),
        (replace(RIGHT, synchronized=None, error="masked"), True, Status.PROBLEM, "systemctl unmask"),
        (replace(RIGHT, synchronized=None, error="masked"), False, Status.UNKNOWN, "systemctl unmask"),
    ],
)
def test_a_clock_that_is_not_synchronised_matters_where_something_goes_by_it(
    facts: clock.Facts, needed: bool, status: Status, remedy: str
) -> None:
    found = {one.check: one for one in clock.judge(facts, needed=needed)}
    assert found["time"].status is Status.OK
    assert found["synchronized"].status is status
    assert found["synchronized"].remedy.startswith(remedy)


def test_a_clock_before_this_program_was_built_is_wrong() -> None:
    early = replace(RIGHT, now=Now(datetime(1970, 1, 1, tzinfo=UTC), 0.0))
    assert wrong(clock.judge(early, needed=False))["time"].status is Status.PROBLEM


@pytest.mark.parametrize(
    ("mode", "uid", "remedy"),
    [
        (0o755, 0, None),
        (0o644, 0, "chmod +x {}"),
        (0o755, 1000, "chown root: {}"),
        (0o666, 1000, "chown root: {} && chmod go-w {} && chmod +x {}"),
        (0o757, 0, "chmod go-w {}"),
    ],
)
def test_a_program_that_is_not_run_is_named_and_mended(mode: int, uid: int, remedy: str | None) -> None:
    found = file("/h/a", mode, uid)
    (finding,) = health.judge_programs([health.ProgramFacts("required/a", found, remedy and "is not so")])
    assert finding.status is (Status.OK if remedy is None else Status.PROBLEM)
    assert finding.remedy == (remedy or "").replace("{}", "/h/a")


def test_a_program_whose_folder_is_the_trouble_is_led_to() -> None:
    facts = health.ProgramFacts("required/a", file("/h/a", 0o755), "is not safe to run: its folder /h belongs to uid 7")
    assert [one.remedy for one in health.judge_programs([facts])] == ["namei -l /h/a"]


@pytest.mark.parametrize(
    ("unit", "status", "remedy"),
    [
        (Unit("web.service", "loaded", "enabled", "active"), Status.OK, ""),
        (Unit("web.service", "loaded", "enabled", "inactive"), Status.WARNING, "systemctl start web.service"),
        (Unit("web.service", "masked", "masked"), Status.PROBLEM, "systemctl unmask web.service"),
        (Unit("web.service"), Status.PROBLEM, "correct or remove"),
    ],
)
def test_a_unit_that_cannot_be_active_after_a_boot_is_named(unit: Unit, status: Status, remedy: str) -> None:
    (finding,) = health.judge_units([UnitCheck("web", "web.service")], {"web.service": unit})
    assert finding.status is status
    assert finding.remedy.startswith(remedy)


def test_commands_and_programs_are_looked_for_where_they_would_be_run(tmp_path: Path) -> None:
    folder = tmp_path / "etc/tidegate/health.d/required"
    folder.mkdir(parents=True)
    (folder / "10-web").write_text("#!/bin/sh\n")
    commands = (
        CommandCheck("fine", ("sh", "-c", "true"), user="root"),
        CommandCheck("gone", ("/usr/bin/nothing-of-that-name",)),
        CommandCheck("nobody", ("true",), user="nobody-of-that-name"),
        CommandCheck("number", ("true",), user="4000000"),
    )
    settings = replace(Settings(), health=Settings().health.having(*commands))
    found = {one.check: one for one in asyncio.run(health.examine(replace(HOST, settings=settings, root=tmp_path)))}
    assert set(found) == {"required/10-web", "command/gone", "command/nobody", "checks"}
    assert found["required/10-web"].remedy.endswith(f"chmod +x {folder}/10-web")
    assert found["checks"].message == "a boot is judged by 1 program, 4 commands"


def test_the_configuration_is_told_with_its_first_problems() -> None:
    assert wrong(configuration.judge_snippets(HOST)) == {}
    problem = Problem("10-a.toml", 3, "x", "no such key", "remove it")
    (finding,) = configuration.judge_snippets(replace(HOST, problems=(problem,) * 7))
    assert finding.status is Status.PROBLEM
    assert len(finding.evidence) == configuration.SHOWN_PROBLEMS
    assert "10-a.toml:3" in finding.evidence[0]
    stale = replace(HOST, snapshot={"stale_config": {"message": "bad"}})
    assert wrong(configuration.judge_snippets(stale))["reloaded"].remedy == "systemctl reload tidegate.service"


def test_a_zone_that_is_not_there_matters_where_windows_go_by_it() -> None:
    assert statuses(configuration.judge_zone("UTC", "", used=True)) == {"time-zone": Status.OK}
    assert statuses(configuration.judge_zone("Europe/X", "no", used=True)) == {"time-zone": Status.PROBLEM}
    assert statuses(configuration.judge_zone("Europe/X", "no", used=False)) == {"time-zone": Status.WARNING}


ONE = Release("1", "a" * 64)
OFFERS = Offers((Release("2", "b" * 64),), ONE, None)


@pytest.mark.parametrize(
    ("answer", "version", "expected"),
    [
        (OFFERS, "1", {"source": Status.OK, "running-release": Status.OK}),
        (OFFERS, "", {"source": Status.OK, "running-release": Status.UNKNOWN}),
        (replace(OFFERS, booted=None), "1", {"source": Status.OK, "running-release": Status.PROBLEM}),
        (replace(OFFERS, dead_end="the end"), "1", {"source": Status.OK, "running-release": Status.WARNING}),
        (Failure(ErrorKind.DISCOVERY_UNREACHABLE, "refused"), "1", {"source": Status.PROBLEM}),
        (Failure(ErrorKind.DISCOVERY_UNAVAILABLE, "none"), "1", {"source": Status.PROBLEM}),
    ],
)
def test_a_source_is_judged_by_its_answer(answer: Offers | Failure, version: str, expected: dict[str, Status]) -> None:
    assert statuses(discovery.judge(answer, version)) == expected


def test_the_running_release_is_the_agents_word() -> None:
    told = {"booted": {"version": "1", "payload": "a"}, "host": {"stream": "stable"}}
    assert discovery.running(replace(HOST, snapshot=told)) == ("1", "a", "stable")
    for nothing in ({}, {"booted": None, "host": {"stream": None}}):
        assert discovery.running(replace(HOST, snapshot=nothing)) == ("", "", None)


@pytest.mark.parametrize(
    ("left", "status"), [(timedelta(days=90), Status.OK), (timedelta(days=5), Status.WARNING), (None, None)]
)
def test_a_certificate_that_ends_soon_is_named(left: timedelta | None, status: Status | None) -> None:
    answer = Reached("h:443", None if left is None else START + left)
    found = statuses(lock.judge_server(answer, START))
    assert found.get("certificate") is status
    assert found["server"] is Status.OK


def test_a_lock_server_that_is_away_is_named() -> None:
    (finding,) = lock.judge_server(Unreached("h:80", "refused"), START)
    assert finding.status is Status.PROBLEM
    assert "h:80: refused" in finding.message


ETC = (file("/", 0o755, folder=True), file("/etc", 0o755, folder=True))


@pytest.mark.parametrize(
    ("way", "remedy"),
    [
        ((*ETC, file("/etc/t", 0o640, 0, 991)), None),
        ((*ETC, file("/etc/t", 0o400, 991, 0)), None),
        ((*ETC, file("/etc/t", 0o644)), None),
        ((*ETC, file("/etc/t", 0o600)), "chgrp tidegate /etc/t && chmod 0640 /etc/t"),
        ((*ETC, file("/etc/t", 0o040, 991, 991)), "chgrp tidegate /etc/t"),
        ((ETC[0], file("/etc", 0o700, folder=True), file("/etc/t", 0o644)), "chgrp tidegate /etc && chmod g+x /etc"),
        ((*ETC, FileFacts(Path("/etc/t"))), "create it"),
        ((*ETC, FileFacts(Path("/etc/t"), error="denied")), "run it as root"),
        ((ETC[0], file("/root/t", 0o644)), "move it below /etc/tidegate"),
    ],
)
def test_a_file_that_the_agent_cannot_read_is_named_with_what_is_in_the_way(
    way: tuple[FileFacts, ...], remedy: str | None
) -> None:
    found = lock.obstacle(way, AGENT)
    assert found is None if remedy is None else found is not None and found.remedy.startswith(remedy)
    status = Status.OK if remedy is None and not way[-1].mode & 0o007 else None
    (finding,) = lock.judge_files([lock.KeyFile("token_file", way)], AGENT)
    assert finding.status is (status or (Status.PROBLEM if remedy else Status.WARNING))


def test_a_slot_that_is_owed_is_named() -> None:
    owed = {"lock": {"state": "release_owed", "server": "http://h/", "why": "refused"}}
    assert statuses(lock.judge_release(owed)) == {"owed": Status.WARNING}
    assert not [*lock.judge_release({"lock": {"state": "held"}})]
    assert not [*lock.judge_release({})]
