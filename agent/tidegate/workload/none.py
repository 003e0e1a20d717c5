"""A host without a configured workload: there is nothing to stop, to start or to hand over."""

from __future__ import annotations


class NoWorkload:
    """Implements :class:`~tidegate.runner.Workload`; every verb is done at once."""

    async def hand_over(self) -> None:
        """Nothing is handed over."""

    async def end_hand_over(self) -> None:
        """Nothing was handed over."""

    async def stop(self) -> None:
        """Nothing is stopped."""

    async def start(self) -> None:
        """Nothing was stopped."""
