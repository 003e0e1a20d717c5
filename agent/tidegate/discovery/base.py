"""What every source of updates answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from tidegate.release import Release


@dataclass(frozen=True, slots=True)
class Deferred:
    """A direct successor that this host may not move to yet.

    ``reason`` is a sentence's second half, after the version. ``turn_at`` (aware, in UTC) is when it becomes a
    candidate, if nothing changes in the source until then; None where that is not known, or never.
    """

    release: Release
    reason: str
    turn_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Offers:
    """The releases that a source lets this host move to from the one that it runs.

    ``candidates`` are direct successors only, in no particular order; policy chooses among them. ``booted_known`` is
    False when the source has never heard of the booted release. ``dead_end`` is the source's word that the booted
    release will never get a successor, with its reason. ``deferred`` are further successors, whose time has not come.
    ``complete``: what is not among them was withdrawn; a source that names only its newest release cannot say that.
    """

    candidates: tuple[Release, ...]
    booted: Release | None
    dead_end: str | None
    deferred: tuple[Deferred, ...] = ()
    complete: bool = True

    @property
    def booted_known(self) -> bool:
        """Whether the source lists the booted release."""
        return self.booted is not None


class Discovery(Protocol):
    """A source of updates."""

    async def find(self, booted_payload: str, booted_version: str, stream: str | None = None) -> Offers:
        """Ask the source once, within its own deadline. ``stream`` is the one that the engine follows, where it tells.

        Raises:
            TidegateError: with a ``discovery.*`` kind.
        """
        ...
