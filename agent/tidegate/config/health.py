"""``[health]``: how a boot is watched, and the checks that an operator writes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tidegate.config.keys import key, needed
from tidegate.config.kinds.http import Argv, PlainUrl, Statuses, StatusRange
from tidegate.config.kinds.names import AbsoluteFile, Names
from tidegate.config.kinds.scalar import Choice, Fraction, Text, Whole
from tidegate.config.kinds.tables import Tables
from tidegate.config.problems import Fault

FAILURE_ACTIONS = ("pause", "continue", "rollback")
NO_ERROR = Statuses(200, 399)
WEIGHTS = ("required", "advisory")
FILE_STATES = ("present", "absent")

MAX_MONITOR_SECS = 24 * 3600
"""A boot that is watched for longer than a day keeps its slot of the fleet's lock for as long."""
MAX_RETRIES = 100
MAX_TIMEOUT_SECS = 300
"""A look waits for the slowest check. What takes longer than this to answer is asked for its last result instead."""
MAX_AGE_SECS = 366 * 24 * 3600

_UNIT_TYPES = "service|socket|target|mount|automount|swap|timer|path|slice|scope|device"
UNIT = re.compile(rf"[A-Za-z0-9:_.\\@-]{{1,240}}\.(?:{_UNIT_TYPES})")
UNIT_WORDS = 'the name of a unit with its suffix, such as "web.service"'

_NAME = Text(re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"), "up to 64 letters, digits, dots, dashes and underscores")
_NAME_DOC = "What the check is called; each of its kind has a name of its own."
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,30}\$?")
_LINE = re.compile(r"[^\x00-\x1f\x7f]{1,1000}")
_WEIGHT = Choice(WEIGHTS)
_WEIGHT_DOC = "Whether it counts, or is only shown."


@dataclass(frozen=True, slots=True)
class UnitCheck:
    """``[[health.unit]]``: a unit of systemd is active."""

    name: str = needed(_NAME, _NAME_DOC)
    unit: str = needed(Text(UNIT, UNIT_WORDS), "The unit that has to be active.")
    weight: str = key("required", _WEIGHT, _WEIGHT_DOC)


@dataclass(frozen=True, slots=True)
class HttpCheck:
    """``[[health.http]]``: a server answers."""

    name: str = needed(_NAME, _NAME_DOC)
    url: str = needed(PlainUrl(("http", "https")), "What to get. Redirects are answers, and not followed.")
    status: Statuses = key(  # noqa: RUF009 - what it gives is frozen
        NO_ERROR, StatusRange(), "The status that it has to answer with."
    )
    contains: str | None = key(
        None, Text(_LINE, "1 to 1000 printable characters"), "A text that has to be in the first MiB of the answer."
    )
    timeout_secs: int = key(10, Whole(1, MAX_TIMEOUT_SECS), "Seconds for the whole of it.")
    ca_file: str | None = key(
        None, AbsoluteFile(), "Certificates, in PEM form, of the authorities to trust in place of the system's."
    )
    weight: str = key("advisory", _WEIGHT, _WEIGHT_DOC)


@dataclass(frozen=True, slots=True)
class CommandCheck:
    """``[[health.command]]``: a program ends with exit code 0."""

    name: str = needed(_NAME, _NAME_DOC)
    command: tuple[str, ...] = needed(Argv(), "The program and its arguments; no shell reads them.")
    user: str | None = key(
        None, Text(_USER, "the name or number of a user"), "Who runs it; unless set, a user of its own for each run."
    )
    timeout_secs: int = key(30, Whole(1, MAX_TIMEOUT_SECS), "Seconds after which it is killed, and has not passed.")
    weight: str = key("required", _WEIGHT, _WEIGHT_DOC)


@dataclass(frozen=True, slots=True)
class FileCheck:
    """``[[health.file]]``: a file is there or is not, or was written lately."""

    name: str = needed(_NAME, _NAME_DOC)
    path: str = needed(AbsoluteFile(), "The file or folder, which the user tidegate must be able to see.")
    state: str = key("present", Choice(FILE_STATES), "Whether it has to be there, or must not be.")
    max_age_secs: int | None = key(
        None, Whole(1, MAX_AGE_SECS), "Seconds since it was last written that are still young enough."
    )
    weight: str = key("required", _WEIGHT, _WEIGHT_DOC)


def file_faults(check: FileCheck) -> Iterator[Fault]:
    """What does not go together."""
    if check.state == "absent" and check.max_age_secs is not None:
        yield Fault("what must be absent has no age", "leave away max_age_secs, or state", ("max_age_secs",))


@dataclass(frozen=True, slots=True)
class Health:
    """``[health]``."""

    monitor_secs: int = key(
        300,
        Whole(0, MAX_MONITOR_SECS),
        "Seconds after a boot into another release for which its health is watched before it counts as good. (Docker's "
        "default of 5 is for containers; hosts and what they serve take longer to fail.)",
    )
    interval_secs: int = key(10, Whole(1, 3600), "Seconds between two looks with every check.")
    start_delay_secs: int = key(
        120,
        Whole(0, MAX_MONITOR_SECS),
        "Seconds after the boot in which a check that has not passed yet counts as pending, not as failed.",
    )
    retries: int = key(3, Whole(1, MAX_RETRIES), "Looks in a row that have to fail before a check counts as failed.")
    max_failed_checks_ratio: float = key(
        0.0,
        Fraction(),
        "The share of required checks that may have failed; more than that, and the boot is not well. "
        "`max_failure_ratio` is another name for it.",
        alias="max_failure_ratio",
    )
    failure_action: str = key(
        "pause",
        Choice(FAILURE_ACTIONS),
        "What follows when a boot is not well: `pause` updates and keep the lock until somebody mends it or says "
        "`tidegate resume`; `continue` with the release, on record; `rollback` to the release before it.",
    )
    ignore_units: tuple[str, ...] = key(
        (),
        Names(UNIT, "names of units with their suffixes"),
        "Units whose failure is no news, where it is asked whether any unit has failed.",
    )
    executables_timeout_secs: int = key(
        120,
        Whole(1, MAX_TIMEOUT_SECS),
        "Seconds after which a program in `health.d` or in greenboot's folders is killed, and has not passed.",
    )
    unit: tuple[UnitCheck, ...] = key((), Tables(UnitCheck), "Units that have to be active.")
    http: tuple[HttpCheck, ...] = key((), Tables(HttpCheck), "Servers that have to answer.")
    command: tuple[CommandCheck, ...] = key((), Tables(CommandCheck), "Programs that have to end with exit code 0.")
    file: tuple[FileCheck, ...] = key(
        (), Tables(FileCheck, file_faults), "Files that have to be there, or not, or written lately."
    )
