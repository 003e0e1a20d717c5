"""Area ``health``: whether the configured health checks can run. None of them is run."""

from __future__ import annotations

import pwd
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tidegate.doctor.base import AS_ROOT, Area, Finding, Host
from tidegate.doctor.reading import FileFacts, Unit, file_facts, in_thread, read_units
from tidegate.errors import ErrorKind, TidegateError
from tidegate.health.checks.command import CommandCheck
from tidegate.health.checks.unit import UnitCheck
from tidegate.health.settings import HealthSettings
from tidegate.health.spec import specs
from tidegate.helper.programs import programs
from tidegate.helper.trusted_file import why_not_run
from tidegate.system.ownership import ROOT
from tidegate.system.process import ENVIRONMENT

AREA = Area("health")


@dataclass(frozen=True, slots=True)
class ProgramFacts:
    """A program in a folder of checks. ``why_not``: why the helper would not run it, None if it would."""

    name: str
    file: FileFacts
    why_not: str | None


async def examine(host: Host) -> Sequence[Finding]:
    """Check programs, units and commands."""
    wanted = host.settings.health
    found = await in_thread(_programs, host.root)
    units = await read_units(*(check.unit for check in wanted.of(UnitCheck)))
    missing = await in_thread(_missing, wanted.of(CommandCheck))
    judged = [*judge_programs(found), *judge_units(wanted.of(UnitCheck), units), *judge_commands(missing)]
    return [*judged, summary(wanted, found)]


def _programs(root: Path) -> tuple[ProgramFacts, ...]:
    try:
        found = programs(root)
    except OSError as err:
        text = f"{err.filename} cannot be read: {err.strerror}"
        raise TidegateError(ErrorKind.HEALTH_UNREADABLE, text, AS_ROOT) from err
    return tuple(ProgramFacts(one.name, file_facts(one.path), why_not_run(one.path)) for one in found)


def _missing(commands: Sequence[CommandCheck]) -> Mapping[str, str]:
    """The checks whose program or user is missing, by name, with the reason."""
    found = {check.name: _why_no_command(check) for check in commands}
    return {name: why for name, why in found.items() if why}


def _why_no_command(check: CommandCheck) -> str:
    program, *_ = check.command
    if shutil.which(program, path=ENVIRONMENT["PATH"]) is None:
        return f"there is no executable program {program}"
    return "" if check.user is None or _is_user(check.user) else f"there is no user {check.user}"


def _is_user(name: str) -> bool:
    try:
        pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
    except KeyError:
        return name.isdecimal()  # systemd accepts numbers without an account
    return True


def judge_programs(found: Sequence[ProgramFacts]) -> Iterator[Finding]:
    """Whether each program would be run."""
    for one in found:
        path = one.file.path
        if one.why_not is None:
            yield AREA.ok(one.name, f"the check {path} can run", f"mode {one.file.octal}")
        else:
            yield AREA.problem(one.name, f"the check {path} is not run: it {one.why_not}", _fix(one.file))


def _fix(file: FileFacts) -> str:
    path = file.path
    if not file.exists or file.is_folder:
        return f"namei -l {path}"
    steps = [f"chown root: {path}"] if file.uid != ROOT else []
    if file.mode & 0o022:
        steps.append(f"chmod go-w {path}")
    if not file.mode & 0o100:
        steps.append(f"chmod +x {path}")
    return " && ".join(steps) or f"namei -l {path}"


def judge_units(checks: Sequence[UnitCheck], units: Mapping[str, Unit]) -> Iterator[Finding]:
    """Whether the units that have to be active after a boot can be."""
    for check in checks:
        unit, name = units[check.unit], f"unit/{check.name}"
        if unit.is_masked:
            yield AREA.problem(name, f"{unit.name} has to be active after a boot, but is masked", unit.unmask)
        elif not unit.exists:
            text = f"{unit.name} has to be active after a boot, but is not installed"
            yield AREA.problem(name, text, "correct or remove its [[health.unit]]: tidegate config show --origin")
        elif unit.active not in {"active", "reloading"}:
            text = f"{unit.name} is {unit.active}: in this state the check fails after a boot"
            yield AREA.warning(name, text, f"systemctl start {unit.name}")
        else:
            yield AREA.ok(name, f"{unit.name} is active")


def judge_commands(missing: Mapping[str, str]) -> Iterator[Finding]:
    """The commands that cannot run, by name, with the reason."""
    for name, why in missing.items():
        remedy = "install it, or correct its [[health.command]]: tidegate config show --origin"
        yield AREA.problem(f"command/{name}", f"the check {name} cannot run: {why}", remedy)


def summary(wanted: HealthSettings, found: Sequence[ProgramFacts]) -> Finding:
    """The number of checks of each kind that judge a boot on this host."""
    counts = {"program": len(found)} | {spec.noun or spec.name: len(wanted.of(spec.section)) for spec in specs()}
    checks = ", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for noun, count in counts.items() if count)
    text = f"a boot is judged by {checks or 'boot-complete.target and failed units'}"
    return AREA.ok("checks", text, f"failure_action: {wanted.failure_action}")
