"""From the settings to the source of updates that they name."""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.clock import Clock
from tidegate.config.settings import Settings
from tidegate.discovery import cincinnati, static_graph
from tidegate.discovery.base import Discovery, Offers
from tidegate.discovery.cincinnati import Cincinnati
from tidegate.discovery.static_graph import StaticGraph
from tidegate.errors import ErrorKind, TidegateError
from tidegate.identity import HostIdentity
from tidegate.net.client import NetClient

_NO_SOURCE = f"set {cincinnati.KEY} or {static_graph.KEY}"


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Stands for a source that cannot be asked: every check says why."""

    reason: str
    remedy: str

    async def find(
        self,
        booted_payload: str,  # noqa: ARG002 - the protocol's signature
        booted_version: str,  # noqa: ARG002
        stream: str | None = None,  # noqa: ARG002
    ) -> Offers:
        """Never answers.

        Raises:
            TidegateError: always, ``discovery.unavailable``.
        """
        raise TidegateError(ErrorKind.DISCOVERY_UNAVAILABLE, self.reason, self.remedy)


def discovery_for(settings: Settings, host: HostIdentity, net: NetClient, clock: Clock) -> Discovery:
    """The source that ``[discovery] source`` names.

    ``auto`` takes the Cincinnati server where one is set, else the static graph. ``host`` is what they are told, and
    whose turn in a rollout counts.
    """
    discovery, base_url = settings.discovery, settings.cincinnati.base_url
    graph_url = discovery.static_graph.url
    match discovery.source:
        case "cincinnati" | "auto" if base_url:
            return Cincinnati(base_url, net, host, discovery.timeout_secs, discovery.ca_file)
        case "static_graph" | "auto" if graph_url:
            return StaticGraph(graph_url, net, host, clock, discovery.timeout_secs, discovery.ca_file)
        case "auto":
            return Unavailable("no source of updates is configured", _NO_SOURCE)
        case "native":
            return Unavailable("discovery from 'native' is not in this version of Tidegate", _NO_SOURCE)
        case source:
            key = cincinnati.KEY if source == "cincinnati" else static_graph.KEY
            return Unavailable(f"{key} is empty", "set it to the address of the source")
