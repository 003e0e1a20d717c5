"""Where no engine fits the host: every verb says why."""

# ruff: noqa: ARG002 - the signatures are the protocol's

from __future__ import annotations

from typing import NoReturn

from tidegate.engines.base import Deployment, EngineStatus, Latest, ProgressSink, RebootOwner
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
    def reboot_owner(self) -> RebootOwner:
        """The agent, which never gets so far."""
        return RebootOwner.AGENT

    async def status(self) -> EngineStatus:
        """Raises."""
        self._refuse()

    async def latest(self) -> Latest:
        """Raises."""
        self._refuse()

    async def stage(self, release: Release, progress: ProgressSink) -> None:
        """Raises."""
        self._refuse()

    async def arm(self, payload: str) -> None:
        """Raises."""
        self._refuse()

    async def disarm(self, payload: str) -> None:
        """Raises."""
        self._refuse()

    async def discard(self, payload: str) -> None:
        """Raises."""
        self._refuse()

    async def prune_rollback(self) -> None:
        """Raises."""
        self._refuse()

    async def rollback(self) -> Deployment:
        """Raises."""
        self._refuse()

    async def mark_good(self, payload: str) -> None:
        """Raises."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise self._reason.error()
