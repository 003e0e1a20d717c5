"""What a check is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tidegate.health.base import Weight


@dataclass(frozen=True, slots=True)
class Seen:
    """What a check saw at one look; ``detail`` is one printable line."""

    passed: bool
    detail: str


class Check(Protocol):
    """Something that has to hold on a boot that is well."""

    @property
    def name(self) -> str:
        """Its kind and its own name, such as ``unit/web``; no two checks of a host share one."""
        ...

    @property
    def weight(self) -> Weight:
        """Whether it counts."""
        ...

    async def ask(self) -> Seen:
        """Look once, within a time that the check itself keeps.

        Raises:
            TidegateError: it cannot be asked.
        """
        ...
