"""``[[health.command]]``: a program exits with status 0."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidegate.config.keys import key, required
from tidegate.config.kinds.http import Argv
from tidegate.config.kinds.scalar import Integer, Text
from tidegate.health.spec import MAX_TIMEOUT_SECS, NAME, NAME_DOC, WEIGHT, WEIGHT_DOC, CheckSpec
from tidegate.health.wire import COMMAND

if TYPE_CHECKING:
    from tidegate.health.check import Check
    from tidegate.health.select import HealthSources

_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,30}\$?")


@dataclass(frozen=True, slots=True)
class CommandCheck:
    """``[[health.command]]``: a program exits with status 0."""

    name: str = required(NAME, NAME_DOC)
    command: tuple[str, ...] = required(Argv(), "The program and its arguments; they are not passed through a shell.")
    user: str | None = key(
        None,
        Text(_USER, "the name or number of a user"),
        "The user to run it as; unless set, a dynamic user for each run.",
    )
    timeout_secs: int = key(
        30, Integer(1, MAX_TIMEOUT_SECS), "Seconds after which the program is killed and the check has failed."
    )
    weight: str = key("required", WEIGHT, WEIGHT_DOC)


def _build(checks: Sequence[CommandCheck], sources: HealthSources) -> Iterator[Check]:
    from tidegate.health.remote import Command  # noqa: PLC0415 - see CheckSpec

    yield from (Command(check, sources.remote) for check in checks)


SPEC = CheckSpec(COMMAND, "Programs that must exit with status 0.", CommandCheck, _build, rank=3)
