"""``[health]``: the settings of the watch after a boot, and the checks that an operator configures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tidegate.config.keys import key, required
from tidegate.config.kinds.http import Argv, PlainUrl, Statuses, StatusRange
from tidegate.config.kinds.names import AbsoluteFile, Names
from tidegate.config.kinds.scalar import Choice, Fraction, Integer, Text
from tidegate.config.kinds.tables import Tables
from tidegate.config.problems import Fault

FAILURE_ACTIONS = ("pause", "continue", "rollback")
NO_ERROR = Statuses(200, 399)
WEIGHTS = ("required", "advisory")
FILE_STATES = ("present", "absent")

MAX_MONITOR_SECS = 24 * 3600
"""One day. The host keeps its slot of the fleet lock during the watch."""
MAX_RETRIES = 100
MAX_TIMEOUT_SECS = 300
"""A probe waits for its slowest check. A check that takes longer should report the result of an earlier run."""
MAX_AGE_SECS = 366 * 24 * 3600

_UNIT_TYPES = "service|socket|target|mount|automount|swap|timer|path|slice|scope|device"
UNIT = re.compile(rf"[A-Za-z0-9:_.\\@-]{{1,240}}\.(?:{_UNIT_TYPES})")
UNIT_WORDS = 'the name of a unit with its suffix, such as "web.service"'

_NAME = Text(re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"), "up to 64 letters, digits, dots, dashes and underscores")
_NAME_DOC = "The name of the check, unique among those of its kind."
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,30}\$?")
_LINE = re.compile(r"[^\x00-\x1f\x7f]{1,1000}")
_WEIGHT = Choice(WEIGHTS)
_WEIGHT_DOC = "Whether the check decides on the boot, or is only shown."


@dataclass(frozen=True, slots=True)
class UnitCheck:
    """``[[health.unit]]``: a systemd unit is active."""

    name: str = required(_NAME, _NAME_DOC)
    unit: str = required(Text(UNIT, UNIT_WORDS), "The unit that must be active.")
    weight: str = key("required", _WEIGHT, _WEIGHT_DOC)


@dataclass(frozen=True, slots=True)
class HttpCheck:
    """``[[health.http]]``: a server answers a GET request."""

    name: str = required(_NAME, _NAME_DOC)
    url: str = required(
        PlainUrl(("http", "https")), "The URL to get. Redirects are not followed, and count as the answer."
    )
    status: Statuses = key(  # noqa: RUF009 - the default is frozen
        NO_ERROR, StatusRange(), "The status, or range of statuses, that counts as success."
    )
    contains: str | None = key(
        None, Text(_LINE, "1 to 1000 printable characters"), "A text that the first MiB of the answer must contain."
    )
    timeout_secs: int = key(10, Integer(1, MAX_TIMEOUT_SECS), "Seconds for the whole request.")
    ca_file: str | None = key(
        None, AbsoluteFile(), "Certificate authorities to trust in place of the system's, in PEM form."
    )
    weight: str = key("advisory", _WEIGHT, _WEIGHT_DOC)


@dataclass(frozen=True, slots=True)
class CommandCheck:
    """``[[health.command]]``: a program exits with status 0."""

    name: str = required(_NAME, _NAME_DOC)
    command: tuple[str, ...] = required(Argv(), "The program and its arguments; they are not passed through a shell.")
    user: str | None = key(
        None,
        Text(_USER, "the name or number of a user"),
        "The user to run it as; unless set, a dynamic user for each run.",
    )
    timeout_secs: int = key(
        30, Integer(1, MAX_TIMEOUT_SECS), "Seconds after which the program is killed and the check has failed."
    )
    weight: str = key("required", _WEIGHT, _WEIGHT_DOC)


@dataclass(frozen=True, slots=True)
class FileCheck:
    """``[[health.file]]``: a file exists, does not exist, or was written recently."""

    name: str = required(_NAME, _NAME_DOC)
    path: str = required(
        AbsoluteFile(), "The file or folder. The user tidegate needs search permission for the folders above it."
    )
    state: str = key("present", Choice(FILE_STATES), "Whether the file must exist, or must not.")
    max_age_secs: int | None = key(
        None, Integer(1, MAX_AGE_SECS), "The maximum number of seconds since the file was last written."
    )
    weight: str = key("required", _WEIGHT, _WEIGHT_DOC)


def file_faults(check: FileCheck) -> Iterator[Fault]:
    """The conflict between ``state`` and ``max_age_secs``."""
    if check.state == "absent" and check.max_age_secs is not None:
        yield Fault("a file that must be absent has no age", "remove max_age_secs, or state", ("max_age_secs",))


@dataclass(frozen=True, slots=True)
class Health:
    """``[health]``: the watch, and its checks."""

    monitor_secs: int = key(
        300,
        Integer(0, MAX_MONITOR_SECS),
        "Seconds after a boot into another release for which its health is watched before it counts as good. (Docker's "
        "default of 5 is for containers; hosts and what they serve take longer to fail.)",
    )
    interval_secs: int = key(10, Integer(1, 3600), "Seconds between two probes. Each probe runs every check.")
    start_delay_secs: int = key(
        120,
        Integer(0, MAX_MONITOR_SECS),
        "Seconds after the boot during which a check that has not passed yet counts as pending, not as failed.",
    )
    retries: int = key(
        3, Integer(1, MAX_RETRIES), "Consecutive probes that have to fail before a check counts as failed."
    )
    max_failed_checks_ratio: float = key(
        0.0,
        Fraction(),
        "The share of required checks that may fail; if more do, the boot is unhealthy. "
        "`max_failure_ratio` is another name for it.",
        alias="max_failure_ratio",
    )
    failure_action: str = key(
        "pause",
        Choice(FAILURE_ACTIONS),
        "What to do when a boot is unhealthy: `pause` updates and keep the lock until the checks pass again or an "
        "operator runs `tidegate resume`; `continue` with the release, and record it; `rollback` to the previous one.",
    )
    ignore_units: tuple[str, ...] = key(
        (),
        Names(UNIT, "names of units with their suffixes"),
        "Units that the check `failed-units` ignores.",
    )
    executables_timeout_secs: int = key(
        120,
        Integer(1, MAX_TIMEOUT_SECS),
        "Seconds after which a program in `health.d` or in greenboot's folders is killed and has failed.",
    )
    unit: tuple[UnitCheck, ...] = key((), Tables(UnitCheck), "Units that must be active.")
    http: tuple[HttpCheck, ...] = key((), Tables(HttpCheck), "Servers that must answer.")
    command: tuple[CommandCheck, ...] = key((), Tables(CommandCheck), "Programs that must exit with status 0.")
    file: tuple[FileCheck, ...] = key(
        (), Tables(FileCheck, file_faults), "Files that must exist, must not exist, or must have been written recently."
    )
