"""From the settings to the source of updates that they name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tidegate.config.settings import Settings
from tidegate.config.urls import expand
from tidegate.discovery.base import Discovery, Offers
from tidegate.discovery.static_graph import StaticGraph
from tidegate.errors import ErrorKind, TidegateError
from tidegate.net.client import NetClient


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Stands for a source that cannot be asked: every check says why."""

    reason: str
    remedy: str

    async def find(self, booted_payload: str, booted_version: str) -> Offers:  # noqa: ARG002 - the protocol's signature
        """Never answers.

        Raises:
            TidegateError: always, ``discovery.unavailable``.
        """
        raise TidegateError(ErrorKind.DISCOVERY_UNAVAILABLE, self.reason, self.remedy)


def discovery_for(settings: Settings, net: NetClient, variables: Mapping[str, str]) -> Discovery:
    """The source that ``[discovery] source`` names; ``auto`` takes the one that is configured.

    ``variables`` are what a URL may refer to, as far as they are known.
    """
    url = settings.discovery.static_graph.url
    match settings.discovery.source:
        case "static_graph" | "auto" if url:
            return _static_graph(url, net, settings.discovery.timeout_secs, variables)
        case "static_graph":
            return Unavailable("[discovery.static_graph] url is empty", "set it to the graph's http, https or file URL")
        case "auto" if not settings.cincinnati.base_url:
            return Unavailable("no source of updates is configured", "set [discovery.static_graph] url")
        case source:
            name = "cincinnati" if source == "auto" else source
            return Unavailable(
                f"discovery from {name!r} is not in this version of Tidegate",
                "set [discovery.static_graph] url",
            )


def _static_graph(url: str, net: NetClient, timeout_secs: float, variables: Mapping[str, str]) -> Discovery:
    try:
        return StaticGraph(expand(url, variables), net, timeout_secs)
    except KeyError as err:
        return Unavailable(
            f"[discovery.static_graph] url refers to ${{{err.args[0]}}}, which is not known on this host",
            "write its value into the URL",
        )
