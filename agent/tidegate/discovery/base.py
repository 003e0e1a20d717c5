"""What every source of updates answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tidegate.release import Release


@dataclass(frozen=True, slots=True)
class Offers:
    """The releases that a source lets this host move to from the one that it runs.

    ``candidates`` are direct successors only, in no particular order; policy chooses among them. ``booted_known`` is
    False when the source has never heard of the booted release. ``dead_end`` is the source's word that the booted
    release will never get a successor, with its reason.
    """

    candidates: tuple[Release, ...]
    booted: Release | None
    dead_end: str | None

    @property
    def booted_known(self) -> bool:
        """Whether the source lists the booted release."""
        return self.booted is not None


class Discovery(Protocol):
    """A source of updates."""

    async def find(self, booted_payload: str, booted_version: str) -> Offers:
        """Ask the source once, within its own deadline.

        Raises:
            TidegateError: with a ``discovery.*`` kind.
        """
        ...
