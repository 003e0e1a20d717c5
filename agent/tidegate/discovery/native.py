"""Discovery through the engine, from the source that it follows itself, such as a branch of an OSTree remote.

The only offer is the newest release: there are no barriers and no rollouts. The engine orders releases, so that a
source that was reset, or a stale mirror of it, does not downgrade hosts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from types import MappingProxyType

from tidegate.discovery import cincinnati, static_graph
from tidegate.discovery.base import Offers
from tidegate.discovery.graph_keys import SCHEME_KEY
from tidegate.engines.base import Latest
from tidegate.engines.registry import scheme_of
from tidegate.errors import ErrorKind, TidegateError
from tidegate.release import Release

AskEngine = Callable[[], Awaitable[Latest]]
"""See :meth:`tidegate.engines.base.Engine.latest`."""

_KINDS = MappingProxyType(
    {
        ErrorKind.ENGINE_UNSUPPORTED_VERB: ErrorKind.DISCOVERY_UNAVAILABLE,
        ErrorKind.ENGINE_UNSUPPORTED_HOST: ErrorKind.DISCOVERY_UNAVAILABLE,
        ErrorKind.ENGINE_UNKNOWN_RELEASE: ErrorKind.DISCOVERY_REFUSED,
        ErrorKind.ENGINE_BAD_SIGNATURE: ErrorKind.DISCOVERY_NONSENSE,
        ErrorKind.ENGINE_CORRUPT: ErrorKind.DISCOVERY_NONSENSE,
    }
)
"""The kind that a failed check gets, as with the other sources. Any other kind is an outage, and is retried."""


@dataclass(frozen=True, slots=True)
class Native:
    """The engine as a source. ``timeout_secs`` is the deadline of a check, besides the engine's own."""

    latest: AskEngine
    timeout_secs: float = 60.0

    async def find(
        self,
        booted_payload: str,  # noqa: ARG002  (the protocol's; the engine knows what is booted)
        booted_version: str,  # noqa: ARG002
        stream: str | None = None,  # noqa: ARG002
    ) -> Offers:
        """The newest release, unless it is the booted one. An end of life that the publisher declares is a dead end.

        Raises:
            TidegateError: ``discovery.*``.
        """
        try:
            async with asyncio.timeout(self.timeout_secs):
                return offers_of(await self.latest())
        except TimeoutError:
            raise _too_slow(self.timeout_secs) from None
        except TidegateError as error:
            raise _as_discovery(error) from error


def offers_of(latest: Latest) -> Offers:
    """The engine's answer in the form of every source."""
    booted, newest = _with_scheme(latest.booted), _with_scheme(latest.newest)
    if newest.payload == booted.payload:
        return Offers(candidates=(), booted=booted, dead_end=latest.end_of_life)
    return Offers(candidates=(newest,), booted=booted, dead_end=None, complete=False)


def _as_discovery(error: TidegateError) -> TidegateError:
    kind = _KINDS.get(error.kind, ErrorKind.DISCOVERY_UNREACHABLE)
    graphs = f"set {cincinnati.KEY} or {static_graph.KEY}, or: " if kind is ErrorKind.DISCOVERY_UNAVAILABLE else ""
    return TidegateError(kind, error.message, graphs + error.remedy, error.retry_after_secs)


def _with_scheme(release: Release) -> Release:
    """Add the scheme to the metadata: a release that an engine finds is one that it can stage."""
    return replace(release, metadata=MappingProxyType({**release.metadata, SCHEME_KEY: scheme_of(release.payload)}))


def _too_slow(timeout_secs: float) -> TidegateError:
    return TidegateError(
        ErrorKind.DISCOVERY_UNREACHABLE,
        f"the engine's source did not answer within {timeout_secs:g} s",
        "the agent retries; see `journalctl -u tidegate-engine.service`",
    )
