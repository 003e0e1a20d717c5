"""The protocol of sources of updates, and their answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from tidegate.release import Release


@dataclass(frozen=True, slots=True)
class Deferred:
    """A direct successor of the booted release that this host may not move to yet.

    ``reason`` completes a sentence that begins with the version. ``turn_at`` (aware, in UTC) is when it becomes a
    candidate, if the source does not change until then; None where that is unknown, or never.
    """

    release: Release
    reason: str
    turn_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Offers:
    """The releases that a source offers to this host.

    ``candidates`` are direct successors of the booted release, in no particular order; policy chooses among them.
    ``booted`` is None when the source does not list the booted release. ``dead_end`` is the source's reason why the
    booted release will never get a successor; None where it may get one. ``deferred`` are further successors, which
    are not for this host yet. ``complete``: a release that is not among the candidates was withdrawn; a source that
    names only its newest release cannot say that. ``flaws`` are the first of ``flaw_count`` faults of the source that
    are not on this host's way; what has them is left out.
    """

    candidates: tuple[Release, ...]
    booted: Release | None
    dead_end: str | None
    deferred: tuple[Deferred, ...] = ()
    complete: bool = True
    flaws: tuple[str, ...] = ()
    flaw_count: int = 0

    @property
    def booted_known(self) -> bool:
        """Whether the source lists the booted release."""
        return self.booted is not None


class Discovery(Protocol):
    """A source of updates."""

    async def find(self, booted_payload: str, booted_version: str, stream: str | None = None) -> Offers:
        """Query the source once, within its own deadline. ``stream`` is the one that the engine follows, if known.

        Raises:
            TidegateError: with a ``discovery.*`` kind.
        """
        ...
