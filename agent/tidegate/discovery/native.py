"""Discovery without a graph: the source that the engine follows by itself, such as the branch of an OSTree remote.

There is one way on, to the newest release: no barriers, no rollouts, no moves that are left out. The order of releases
is the engine's, so that a source that was set back, or an old mirror of it, takes no host down.
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
"""What a look that failed is called, as of the other sources; whatever is not here is tried again like an outage."""


@dataclass(frozen=True, slots=True)
class Native:
    """Asks the engine at each check. ``timeout_secs`` bounds that, as well as the engine's own deadline."""

    latest: AskEngine
    timeout_secs: float = 60.0

    async def find(
        self,
        booted_payload: str,  # noqa: ARG002  (the protocol's; the engine knows what is booted)
        booted_version: str,  # noqa: ARG002
        stream: str | None = None,  # noqa: ARG002
    ) -> Offers:
        """The newest release, where that is another one than the booted; the publisher's end of life is a dead end.

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
    """The engine's answer as every source gives it."""
    booted, newest = _with_scheme(latest.booted), _with_scheme(latest.newest)
    if newest.payload == booted.payload:
        return Offers(candidates=(), booted=booted, dead_end=latest.end_of_life)
    return Offers(candidates=(newest,), booted=booted, dead_end=None, complete=False)


def _as_discovery(error: TidegateError) -> TidegateError:
    kind = _KINDS.get(error.kind, ErrorKind.DISCOVERY_UNREACHABLE)
    graphs = f"set {cincinnati.KEY} or {static_graph.KEY}, or: " if kind is ErrorKind.DISCOVERY_UNAVAILABLE else ""
    return TidegateError(kind, error.message, graphs + error.remedy, error.retry_after_secs)


def _with_scheme(release: Release) -> Release:
    """What an engine finds by itself it can also stage."""
    return replace(release, metadata=MappingProxyType({**release.metadata, SCHEME_KEY: scheme_of(release.payload)}))


def _too_slow(timeout_secs: float) -> TidegateError:
    return TidegateError(
        ErrorKind.DISCOVERY_UNREACHABLE,
        f"the engine's source did not answer within {timeout_secs:g} s",
        "see `journalctl -u tidegate-engine.service`; it is asked again",
    )
