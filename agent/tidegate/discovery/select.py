"""Select the source of updates by the settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidegate.clock import Clock
from tidegate.discovery import cincinnati, static_graph
from tidegate.discovery.base import Discovery, Offers
from tidegate.discovery.cincinnati import Cincinnati
from tidegate.discovery.native import AskEngine, Native
from tidegate.discovery.static_graph import StaticGraph
from tidegate.errors import ErrorKind, TidegateError
from tidegate.identity import HostIdentity
from tidegate.net.client import NetClient

if TYPE_CHECKING:
    from tidegate.settings import Settings


@dataclass(frozen=True, slots=True)
class Unavailable:
    """A source that is selected but not configured: every check fails with the reason."""

    reason: str
    remedy: str

    async def find(
        self,
        booted_payload: str,  # noqa: ARG002 - the protocol's signature
        booted_version: str,  # noqa: ARG002
        stream: str | None = None,  # noqa: ARG002
    ) -> Offers:
        """Fail.

        Raises:
            TidegateError: always, ``discovery.unavailable``.
        """
        raise TidegateError(ErrorKind.DISCOVERY_UNAVAILABLE, self.reason, self.remedy)


def discovery_for(
    settings: Settings, host: HostIdentity, net: NetClient, clock: Clock, ask_engine: AskEngine
) -> Discovery:
    """The source that ``[discovery] source`` selects.

    ``host`` is the identity that a Cincinnati server gets, and that decides about phased rollouts.
    """
    discovery, base_url, graph = settings.discovery, settings.cincinnati.base_url, settings.discovery.static_graph
    match source_of(settings):
        case "cincinnati" if base_url:
            return Cincinnati(base_url, net, host, discovery.timeout_secs, discovery.ca_file)
        case "static_graph" if graph.url:
            return StaticGraph(graph.url, net, host, clock, discovery.timeout_secs, discovery.ca_file, graph.trust)
        case "native":
            return Native(ask_engine, discovery.timeout_secs)
        case source:
            key = cincinnati.KEY if source == "cincinnati" else static_graph.KEY
            return Unavailable(f"{key} is empty", "set it to the address of the source")


def source_of(settings: Settings) -> str:
    """The kind of source in use. For ``auto``, a graph with a root of trust is preferred to an unsigned source."""
    graph = settings.discovery.static_graph
    if settings.discovery.source != "auto":
        return settings.discovery.source
    if settings.cincinnati.base_url and not (graph.url and graph.trust):
        return "cincinnati"
    return "static_graph" if graph.url else "native"
