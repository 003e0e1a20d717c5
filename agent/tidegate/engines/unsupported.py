"""The engine of a host that no engine fits: every verb raises the reason."""

# ruff: noqa: ARG002 - the signatures are the protocol's

from __future__ import annotations

from typing import NoReturn

from tidegate.engines.base import DEFAULT_TRAITS, EngineStatus, EngineTraits, Latest, ProgressSink
from tidegate.errors import Failure
from tidegate.release import Release

NAME = "none"


class UnsupportedEngine:
    """Implements :class:`~tidegate.engines.base.Engine`: each verb raises ``reason``."""

    def __init__(self, reason: Failure) -> None:
        self._reason = reason

    @property
    def name(self) -> str:
        """``none``."""
        return NAME

    @property
    def traits(self) -> EngineTraits:
        """The defaults; no verb succeeds, so nothing is decided by them."""
        return DEFAULT_TRAITS

    async def status(self) -> EngineStatus:
        """Raise the reason."""
        self._refuse()

    async def latest(self) -> Latest:
        """Raise the reason."""
        self._refuse()

    async def stage(self, release: Release, progress: ProgressSink) -> None:
        """Raise the reason."""
        self._refuse()

    async def arm(self, payload: str) -> None:
        """Raise the reason."""
        self._refuse()

    async def disarm(self, payload: str) -> None:
        """Raise the reason."""
        self._refuse()

    async def discard(self, payload: str) -> None:
        """Raise the reason."""
        self._refuse()

    async def prune_rollback(self) -> None:
        """Raise the reason."""
        self._refuse()

    async def rollback(self, payload: str) -> None:
        """Raise the reason."""
        self._refuse()

    async def mark_good(self, payload: str) -> None:
        """Raise the reason."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise self._reason.error()
