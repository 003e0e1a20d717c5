"""What the doctor makes of units, policies and rivals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from tidegate.doctor import bootloader, engine, other_updaters, policies, units
from tidegate.doctor.base import Finding, Status
from tidegate.doctor.reading import Unit, parse_units

AGENT = Unit(units.AGENT, "loaded", "enabled", "active", "success")
ENGINE = Unit(units.ENGINE, "loaded", "static", "inactive", "success")

SHOWN = """\
Id=tidegate.service
LoadState=loaded
UnitFileState=enabled
ActiveState=active
Result=success
NRestarts=4
DropInPaths=/etc/systemd/system/tidegate.service.d/a.conf /run/systemd/system/tidegate.service.d/b.conf
NeedDaemonReload=yes
Requires=sysinit.target -.mount

Id=nothing.service
LoadState=not-found
ActiveState=inactive
"""


def statuses(findings: Iterable[Finding]) -> dict[str, Status]:
    return {finding.check: finding.status for finding in findings}


def wrong(findings: Iterable[Finding]) -> dict[str, Finding]:
    return {finding.check: finding for finding in findings if finding.status is not Status.OK}


def agent_units(agent: Unit = AGENT, helper: Unit = ENGINE) -> dict[str, Unit]:
    return {units.AGENT: agent, units.ENGINE: helper}


def test_what_systemctl_shows_is_read() -> None:
    shown = parse_units(SHOWN, ("tidegate.service", "nothing.service"))
    agent, nothing = shown["tidegate.service"], shown["nothing.service"]
    assert (agent.load, agent.enabled, agent.active, agent.restarts) == ("loaded", "enabled", "active", 4)
    assert len(agent.drop_ins) == 2
    assert agent.needs_reload
    assert agent.requires == ("sysinit.target", "-.mount")
    assert (nothing.exists, nothing.is_masked, nothing.restarts) == (False, False, 0)


def test_a_machine_without_systemd_is_told_so_in_plain_words() -> None:
    finding = units.no_systemd("sh")
    assert finding.status is Status.PROBLEM
    assert "systemd does not run this machine: its first process is sh" in finding.message


def test_units_that_run_are_well() -> None:
    assert wrong(units.judge(agent_units())) == {}


@pytest.mark.parametrize(
    ("agent", "check", "status", "remedy"),
    [
        (replace(AGENT, load="masked", enabled="masked"), "agent", Status.PROBLEM, "systemctl unmask tidegate.service"),
        (
            replace(AGENT, load="masked", enabled="masked-runtime"),
            "agent",
            Status.PROBLEM,
            "systemctl unmask --runtime tidegate.service",
        ),
        (Unit(units.AGENT), "agent", Status.PROBLEM, "tidegate install"),
        (replace(AGENT, active="failed", result="exit-code"), "agent", Status.PROBLEM, "systemctl start"),
        (replace(AGENT, enabled="disabled"), "enabled", Status.PROBLEM, "systemctl enable tidegate.service"),
        (replace(AGENT, restarts=3), "restarts", Status.WARNING, "journalctl -u tidegate.service"),
        (replace(AGENT, needs_reload=True), "stale-units", Status.WARNING, "systemctl daemon-reload"),
    ],
)
def test_an_agent_that_does_not_run_as_it_should_is_named(agent: Unit, check: str, status: Status, remedy: str) -> None:
    found = wrong(units.judge(agent_units(agent)))
    assert list(found) == [check]
    assert found[check].status is status
    assert found[check].remedy.startswith(remedy)


def test_a_few_restarts_are_no_matter() -> None:
    assert wrong(units.judge(agent_units(replace(AGENT, restarts=2)))) == {}


@pytest.mark.parametrize(
    ("helper", "status"),
    [
        (replace(ENGINE, load="masked"), Status.PROBLEM),
        (Unit(units.ENGINE), Status.PROBLEM),
        (replace(ENGINE, active="failed"), Status.WARNING),
    ],
)
def test_an_engine_helper_that_cannot_be_started_is_named(helper: Unit, status: Status) -> None:
    assert statuses(wrong(units.judge(agent_units(helper=helper))).values()) == {"engine-helper": status}


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("[Service]\nEnvironment=A=b\n", Status.OK),
        ("[Service]\nNoNewPrivileges=no\n", Status.WARNING),
        ("[Service]\n  User = root\n", Status.WARNING),
        ("[Service]\nExecStart=\nExecStart=/bin/true\n", Status.WARNING),
        ("# User=root\n", Status.OK),
        (None, Status.UNKNOWN),
    ],
)
def test_a_drop_in_that_weakens_the_unit_is_named_with_what_it_sets(text: str | None, status: Status) -> None:
    path = "/etc/systemd/system/tidegate.service.d/x.conf"
    (finding,) = units.judge_drop_ins({path: text})
    assert finding.status is status
    assert path in finding.message


POLKIT = Unit(policies.POLKIT_UNIT, "loaded", "static", "active", "success")
GOOD = policies.Facts(
    files=dict.fromkeys(policies.PLACES, True),
    polkit=POLKIT,
    agent_on_bus=True,
    polkit_on_bus=True,
    refused={},
    why_not_asked="",
    usr_writable=True,
)


def test_policies_in_force_are_well() -> None:
    assert wrong(policies.judge(GOOD)) == {}


@pytest.mark.parametrize("name", policies.PLACES)
def test_a_policy_that_is_missing_is_named_and_put_back(name: str) -> None:
    facts = replace(GOOD, files={**GOOD.files, name: False})
    assert wrong(policies.judge(facts))[name].remedy == "tidegate install"
    read_only = wrong(policies.judge(replace(facts, usr_writable=False)))[name].remedy
    assert ("/etc/" in read_only) == (name in {"dbus-policy", "polkit-rule"})
    unseen = wrong(policies.judge(replace(GOOD, files={**GOOD.files, name: None})))[name]
    assert unseen.status is Status.UNKNOWN


def test_an_agent_that_polkit_does_not_let_reboot_is_named_with_what_was_refused() -> None:
    facts = replace(GOOD, refused={policies.REBOOT_ACTIONS[1]: "no rule allows it"})
    (finding,) = wrong(policies.judge(facts)).values()
    assert (finding.check, finding.status) == ("may-reboot", Status.PROBLEM)
    assert finding.evidence == (f"{policies.REBOOT_ACTIONS[1]}: no rule allows it",)


@pytest.mark.parametrize(
    ("polkit", "remedy"),
    [
        (replace(POLKIT, active="inactive"), "systemctl start polkit.service"),
        (replace(POLKIT, active="failed"), "systemctl start polkit.service"),
        (replace(POLKIT, load="masked"), "systemctl unmask polkit.service"),
        (Unit(policies.POLKIT_UNIT), "install polkitd"),
    ],
)
def test_a_polkitd_that_does_not_come_when_it_is_asked_is_named(polkit: Unit, remedy: str) -> None:
    found = wrong(policies.judge(replace(GOOD, polkit=polkit, polkit_on_bus=False)))
    assert found["polkitd"].status is Status.PROBLEM
    assert found["polkitd"].remedy.startswith(remedy)


def test_a_polkitd_that_nobody_has_asked_yet_need_not_run() -> None:
    idle = replace(GOOD, polkit=replace(POLKIT, active="inactive"), polkit_on_bus=False, why_not_asked="not root")
    assert set(wrong(policies.judge(idle))) == {"may-reboot"}
    failed = replace(idle, polkit=replace(POLKIT, active="failed"))
    assert wrong(policies.judge(failed))["polkitd"].status is Status.PROBLEM


def test_polkit_is_asked_only_where_it_can_answer() -> None:
    assert policies.why_not_asked(POLKIT, agent=True, is_root=True) == ""
    assert policies.why_not_asked(replace(POLKIT, active="inactive"), agent=True, is_root=True) == ""
    masked = replace(POLKIT, load="masked")
    for polkit, agent, is_root in ((masked, True, True), (POLKIT, False, True), (POLKIT, True, False)):
        why = policies.why_not_asked(polkit, agent=agent, is_root=is_root)
        assert why
        found = wrong(policies.judge(replace(GOOD, why_not_asked=why)))
        assert found["may-reboot"].status is Status.UNKNOWN


def test_an_agent_without_its_name_on_the_bus_is_named() -> None:
    assert wrong(policies.judge(replace(GOOD, agent_on_bus=False)))["bus-name"].status is Status.PROBLEM


NOBODY_ELSE = other_updaters.Facts(
    {name: Unit(name) for name in (*other_updaters.CONFLICTS, other_updaters.UNATTENDED)}, False, frozenset({"sh"})
)


def test_a_host_of_ones_own_has_no_rivals() -> None:
    assert statuses(other_updaters.judge(NOBODY_ELSE)) == {"others": Status.OK}


@pytest.mark.parametrize("name", other_updaters.CONFLICTS)
@pytest.mark.parametrize("state", [("enabled", "inactive"), ("disabled", "active")])
def test_another_updater_that_is_on_is_named(name: str, state: tuple[str, str]) -> None:
    unit = Unit(name, "loaded", *state)
    (finding,) = other_updaters.judge(replace(NOBODY_ELSE, units={**NOBODY_ELSE.units, name: unit}))
    assert finding.status is other_updaters.CONFLICTS[name][0]
    assert finding.remedy == f"systemctl disable --now {name}"


@pytest.mark.parametrize("enabled", ["disabled", "static", "masked"])
def test_another_updater_that_is_off_is_no_matter(enabled: str) -> None:
    off = {name: Unit(name, "loaded", enabled) for name in NOBODY_ELSE.units}
    assert wrong(other_updaters.judge(replace(NOBODY_ELSE, units=off))) == {}


def test_unattended_upgrades_is_a_rival_only_where_it_reboots() -> None:
    unit = Unit(other_updaters.UNATTENDED, "loaded", "enabled", "active")
    on = replace(NOBODY_ELSE, units={**NOBODY_ELSE.units, other_updaters.UNATTENDED: unit})
    assert wrong(other_updaters.judge(on)) == {}
    assert statuses(other_updaters.judge(replace(on, apt_reboots=True))) == {"unattended-upgrades": Status.PROBLEM}
    assert wrong(other_updaters.judge(replace(NOBODY_ELSE, apt_reboots=True))) == {}


def test_kured_is_known_by_its_process() -> None:
    assert statuses(other_updaters.judge(replace(NOBODY_ELSE, processes=frozenset({"kured"})))) == {
        "kured": Status.WARNING
    }


TARGET = Unit(bootloader.TARGET, "loaded", "static", "active", requires=("a.service",))


def test_a_boot_that_is_not_complete_is_named_with_the_check_that_failed() -> None:
    checks = {"a.service": Unit("a.service", "loaded", "static", "failed")}
    assert wrong(bootloader.judge_target(TARGET, checks)) == {}
    (finding,) = bootloader.judge_target(replace(TARGET, active="inactive"), checks)
    assert finding.status is Status.PROBLEM
    assert "because a.service failed" in finding.message
    assert finding.remedy == "systemctl restart a.service && systemctl start boot-complete.target"
    (bare,) = bootloader.judge_target(replace(TARGET, active="inactive"), {})
    assert bare.remedy == "systemctl start boot-complete.target"


def test_a_switch_that_failed_is_named() -> None:
    unit = Unit(bootloader.OSTREE_COMPLETE, "loaded", "enabled", "failed")
    assert statuses(bootloader.judge_last_switch(unit)) == {"last-switch": Status.PROBLEM}
    assert statuses(bootloader.judge_last_switch(replace(unit, active="inactive"))) == {"last-switch": Status.OK}
    assert statuses(bootloader.judge_last_switch(Unit(bootloader.OSTREE_COMPLETE))) == {}


def test_counted_boots_need_somebody_to_confirm_them() -> None:
    judge = bootloader.judge_loader
    assert judge(bootloader.Loader(efi=True, counting=True, bless=False)).status is Status.PROBLEM
    assert judge(bootloader.Loader(efi=True, counting=True, bless=True)).status is Status.OK
    assert judge(bootloader.Loader(efi=False, counting=False, bless=False)).status is Status.OK


SERVICE, PATH = (Unit(name, "loaded", "static", "active") for name in (engine.FINALIZE, engine.FINALIZE_PATH))


@pytest.mark.parametrize(
    ("service", "path", "status", "remedy"),
    [
        (SERVICE, PATH, Status.OK, ""),
        (replace(SERVICE, active="inactive"), PATH, Status.OK, ""),
        (replace(SERVICE, load="masked"), PATH, Status.PROBLEM, "systemctl unmask ostree-finalize-staged.service && "),
        (SERVICE, Unit(engine.FINALIZE_PATH), Status.OK, ""),
        (SERVICE, replace(PATH, load="masked"), Status.PROBLEM, "systemctl unmask ostree-finalize-staged.path && "),
        (Unit(engine.FINALIZE), PATH, Status.PROBLEM, "add it"),
        (SERVICE, replace(PATH, active="inactive"), Status.WARNING, "systemctl start ostree-finalize-staged.path"),
    ],
)
def test_what_keeps_a_shutdown_from_applying_a_staging_is_named(
    service: Unit, path: Unit, status: Status, remedy: str
) -> None:
    (finding,) = engine.judge_units({engine.FINALIZE: service, engine.FINALIZE_PATH: path})
    assert finding.status is status
    assert finding.remedy.startswith(remedy)


def test_nothing_is_to_be_started_that_this_ostree_does_not_have() -> None:
    units = {engine.FINALIZE: replace(SERVICE, load="masked"), engine.FINALIZE_PATH: Unit(engine.FINALIZE_PATH)}
    (finding,) = engine.judge_units(units)
    assert finding.remedy == "systemctl unmask ostree-finalize-staged.service"
