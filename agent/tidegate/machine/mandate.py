"""Mandates: on whose word, and for what, one attempt is made."""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.release import Purpose


@dataclass(frozen=True, slots=True)
class Mandate:
    """Why the host is to reboot, and on whose word. It is good for one attempt.

    ``request`` is the id of the request of a person who waits for an answer, or None. ``overrides`` are the names of
    the gates that this person overrides.
    """

    purpose: Purpose
    reason: str
    request: int | None = None
    overrides: frozenset[str] = frozenset()


AUTOMATIC = Mandate(Purpose.UPDATE, "automatic")
"""The strategy's own."""
