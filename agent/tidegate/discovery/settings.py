"""The keys of the sources of new releases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tidegate.config.conflicts import Conflict, base_url_conflicts, url_conflicts
from tidegate.config.keys import in_table, key
from tidegate.config.kinds.names import AbsoluteFile
from tidegate.config.kinds.scalar import Choice, Integer, Url

SOURCES = ("auto", "cincinnati", "static_graph", "native")
MAX_TIMEOUT_SECS = 3600

_HTTP_OR_FILE = ("http", "https", "file")


@dataclass(frozen=True, slots=True)
class CincinnatiSettings:
    """``[cincinnati]``: the update server."""

    base_url: str = key(
        "",
        Url(("http", "https")),
        "The Cincinnati server; `v1/graph` is appended. ${basearch}, ${group}, ${platform} and ${stream} are replaced "
        "by the values of the host.",
    )


@dataclass(frozen=True, slots=True)
class StaticGraphSettings:
    """``[discovery.static_graph]``: an update graph in a file."""

    url: str = key(
        "",
        Url(("http", "https", "file")),
        "A Cincinnati graph in a file. The host applies its rollouts itself. Takes the variables of "
        "`cincinnati.base_url`.",
    )
    trust: str | None = key(
        None,
        AbsoluteFile(),
        "The root of trust (`root.json` of `tidegate trust init`). If set, the graph must be signed under it. Needs "
        "`tidegate[trust]`.",
    )


@dataclass(frozen=True, slots=True)
class DiscoverySettings:
    """``[discovery]``: the source of new releases."""

    source: str = key(
        "auto",
        Choice(SOURCES),
        "Where new releases come from. `auto` is the static graph if `trust` is set for it, else the Cincinnati server "
        "if one is set, else the static graph if one is set, else the engine's own source.",
    )
    timeout_secs: int = key(
        60, Integer(1, MAX_TIMEOUT_SECS), "Seconds after which a check for a new release times out."
    )
    ca_file: str | None = key(
        None,
        AbsoluteFile(),
        "Certificate authorities to trust in place of the system's for https, in PEM form.",
    )
    static_graph: StaticGraphSettings = field(
        default_factory=StaticGraphSettings, metadata=in_table("discovery.static_graph")
    )


def conflicts(server: CincinnatiSettings, discovery: DiscoverySettings) -> Iterator[Conflict]:
    """The conflicts between the keys: a selected source needs its URL, and a root of trust a graph."""
    source = discovery.source
    cincinnati, graph = server.base_url, discovery.static_graph.url
    if source == "cincinnati" or (source == "auto" and cincinnati):
        yield from base_url_conflicts("cincinnati.base_url", cincinnati, "discovery.source", source, "v1/graph")
    if source == "static_graph" or (source == "auto" and graph):
        yield from url_conflicts("discovery.static_graph.url", graph, _HTTP_OR_FILE, "discovery.source", source)
    if discovery.static_graph.trust:
        yield from _trust(source, graph)


def _trust(source: str, graph: str) -> Iterator[Conflict]:
    """A root of trust without a graph is an error, unless another source is named explicitly."""
    key = "discovery.static_graph.trust"
    if source == "auto" and not graph:
        why = "there is a root of trust, but no static graph that could be signed"
        yield Conflict(key, key, why, "set discovery.static_graph.url, or unset this key")
    if "?" in graph or "#" in graph:
        why = "the URL has a query or a fragment, which a signed graph cannot have"
        yield Conflict("discovery.static_graph.url", key, why, "remove everything from ? or # on")
