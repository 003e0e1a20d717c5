"""Waiting for the outside: polls with a total deadline, and says what was waited for when it passes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from tests.e2e.lab.process import LabError

POLL_SECS = 0.05

T = TypeVar("T")


class TooLateError(LabError):
    """A deadline passed."""


def monotonic_secs() -> float:
    """Seconds that never step; only differences mean something."""
    return time.monotonic()


def pause(secs: float) -> None:
    """Let ``secs`` pass."""
    time.sleep(secs)


def wait_for(look: Callable[[], T | None], what: str, *, deadline_secs: float, poll_secs: float = POLL_SECS) -> T:
    """Call ``look`` until it returns something true, and return that.

    Raises:
        TooLateError: ``deadline_secs`` passed first.
    """
    end = monotonic_secs() + deadline_secs
    while True:
        if seen := look():
            return seen
        if monotonic_secs() >= end:
            raise TooLateError(f"{what}: not within {deadline_secs:g} s")
        pause(poll_secs)
