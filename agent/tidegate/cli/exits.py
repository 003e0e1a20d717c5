"""Exit codes, and the one for each kind of error."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from tidegate.cli.terminal import show

if TYPE_CHECKING:
    from tidegate.errors import TidegateError

DONE = 0
FAILED = 1
USAGE = 2
REFUSED = 3
UNREACHABLE = 4

_CODES = {
    "agent.bad-request": USAGE,
    "agent.unknown-release": USAGE,
    **dict.fromkeys(
        (
            "agent.busy",
            "agent.not-authorised",
            "agent.nothing-to-apply",
            "config.invalid",
            "coordinator.refused",
            "publish.refused",
            "reboot.refused",
            "record.unreadable",
            "rollback.impossible",
        ),
        REFUSED,
    ),
    **dict.fromkeys(
        (
            "agent.unreachable",
            "bus.lost",
            "bus.timeout",
            "bus.unreachable",
            "coordinator.store-unavailable",
            "coordinator.unreachable",
        ),
        UNREACHABLE,
    ),
}


def code_of(kind: str) -> int:
    """The exit code for an error of ``kind``."""
    return _CODES.get(kind, FAILED)


def fail(error: TidegateError) -> NoReturn:
    """Print the error and its remedy, and exit with the code of its kind."""
    complain(error.message, error.remedy)
    raise SystemExit(code_of(error.kind))


def end_process(error: TidegateError) -> NoReturn:
    """Print the error and its remedy, and exit with 1: for services, whose exit status systemd evaluates."""
    complain(error.message, error.remedy)
    raise SystemExit(FAILED) from error


def complain(message: str, remedy: str = "") -> None:
    """Print an error to standard error, and its remedy on a second line."""
    show([f"tidegate: {message}"], hang=2, err=True)
    if remedy:
        show([f"  to do: {remedy}"], hang=9, err=True)
