"""``[[health.file]]``: a file exists, does not exist, or was written recently."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidegate.config.keys import key, required
from tidegate.config.kinds.names import AbsoluteFile
from tidegate.config.kinds.scalar import Choice, Integer
from tidegate.config.problems import Fault
from tidegate.health.spec import NAME, NAME_DOC, WEIGHT, WEIGHT_DOC, CheckSpec

if TYPE_CHECKING:
    from tidegate.health.check import Check
    from tidegate.health.select import HealthSources

FILE_STATES = ("present", "absent")
MAX_AGE_SECS = 366 * 24 * 3600


@dataclass(frozen=True, slots=True)
class FileCheck:
    """``[[health.file]]``: a file exists, does not exist, or was written recently."""

    name: str = required(NAME, NAME_DOC)
    path: str = required(
        AbsoluteFile(), "The file or folder. The user tidegate needs search permission for the folders above it."
    )
    state: str = key("present", Choice(FILE_STATES), "Whether the file must exist, or must not.")
    max_age_secs: int | None = key(
        None, Integer(1, MAX_AGE_SECS), "The maximum number of seconds since the file was last written."
    )
    weight: str = key("required", WEIGHT, WEIGHT_DOC)


def _faults(check: FileCheck) -> Iterator[Fault]:
    """The conflict between ``state`` and ``max_age_secs``."""
    if check.state == "absent" and check.max_age_secs is not None:
        yield Fault("a file that must be absent has no age", "remove max_age_secs, or state", ("max_age_secs",))


def _build(checks: Sequence[FileCheck], sources: HealthSources) -> Iterator[Check]:
    from tidegate.health.file import FileState  # noqa: PLC0415 - see CheckSpec

    yield from (FileState(check, sources.clock) for check in checks)


SPEC = CheckSpec(
    "file",
    "Files that must exist, must not exist, or must have been written recently.",
    FileCheck,
    _build,
    rank=4,
    faults=_faults,
)
