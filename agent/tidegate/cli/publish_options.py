"""Options of ``tidegate publish`` that several commands share."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tidegate.cli.durations import duration
from tidegate.clock import parse_rfc3339

if TYPE_CHECKING:
    from tidegate.discovery.rollout import Rollout

F = TypeVar("F", bound=Callable[..., object])

FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


def _share(_: click.Context, __: click.Parameter, text: str | None) -> float | None:
    """Parse a share of all hosts: ``0.1`` or ``10%``."""
    if text is None:
        return None
    number, percent, rest = text.strip().partition("%")
    try:
        share = float(number) / (100 if percent else 1)
    except ValueError:
        share = math.nan
    if rest or not 0.0 <= share <= 1.0:
        raise click.BadParameter(f"{text!r} is not a share of all hosts; write it as 0.1 or 10%")
    return share


def _minutes(_: click.Context, __: click.Parameter, text: str | None) -> int | None:
    return None if text is None else max(1, math.ceil(duration(text) / 60))


def _instant(_: click.Context, __: click.Parameter, text: str | None) -> datetime | None:
    try:
        return None if text is None else parse_rfc3339(text)
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{text!r} is not an RFC 3339 time such as 2026-12-24T18:00:00Z") from None


def graph_option(command: F) -> F:
    """The option ``--graph FILE``."""
    return click.option(
        "--graph",
        required=True,
        envvar="TIDEGATE_GRAPH",
        metavar="FILE",
        type=click.Path(path_type=Path, dir_okay=False),
        help="The update graph that hosts read ($TIDEGATE_GRAPH).",
    )(command)


def dry_run_option(command: F) -> F:
    """The option ``--dry-run``."""
    return click.option("--dry-run", is_flag=True, help="Print what would be done, and write nothing.")(command)


def rollout_options(prefix: str) -> Callable[[F], F]:
    """The options ``--over``, ``--start`` and ``--value``, each with ``prefix``: the course of a rollout."""
    options = (
        click.option(
            f"--{prefix}over",
            "minutes",
            callback=_minutes,
            metavar="DURATION",
            help="How long the rollout takes to reach all hosts, such as 2d or 6h.",
        ),
        click.option(
            f"--{prefix}start",
            "start",
            callback=_instant,
            metavar="TIME",
            help="When the rollout starts (RFC 3339). [default: now]",
        ),
        click.option(
            f"--{prefix}value",
            "value",
            callback=_share,
            metavar="SHARE",
            help=f"The share of hosts at its start, such as 10%; without --{prefix}over, the share remains the same.",
        ),
    )

    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


@dataclass(frozen=True, slots=True)
class Course:
    """The course of a rollout as it was requested: share of hosts over time. None for options that were not given."""

    minutes: int | None
    start: datetime | None
    value: float | None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Course | None:
        """The values of :func:`rollout_options`; None if none of the options was given."""
        line = cls(given["minutes"], given["start"], given["value"])
        return None if line == cls(None, None, None) else line

    @property
    def continues(self) -> bool:
        """Whether it begins at the share that an earlier rollout has reached."""
        return self.value is None and self.minutes is not None

    def rollout(self, now: datetime, reached: float = 0.0) -> Rollout:
        """The rollout. By default it starts now, at the share ``reached``, or at all hosts if it has no duration."""
        from tidegate.discovery.rollout import Rollout  # noqa: PLC0415 - `--help` needs none of it

        begin = (1.0 if self.minutes is None else reached) if self.value is None else self.value
        duration_secs = None if self.minutes is None else self.minutes * 60
        return Rollout(int((self.start or now).timestamp()), begin, duration_secs)
