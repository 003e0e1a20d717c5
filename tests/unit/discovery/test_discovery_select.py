"""Selection of the source by the settings, and the parameters for a Cincinnati server."""

from __future__ import annotations

import asyncio

import pytest

from tests.fakes.clock import FakeClock
from tests.fakes.engine import FakeEngine, FakeHost
from tidegate.discovery.base import Discovery
from tidegate.discovery.cincinnati import Cincinnati, query
from tidegate.discovery.native import Native
from tidegate.discovery.select import Unavailable, discovery_for
from tidegate.discovery.settings import CincinnatiSettings, DiscoverySettings, StaticGraphSettings
from tidegate.discovery.static_graph import StaticGraph
from tidegate.errors import ErrorKind, TidegateError
from tidegate.identity import HostIdentity
from tidegate.net.client import NetClient
from tidegate.settings import Settings

NOBODY = NetClient(argv=("/nonexistent/worker",))
HOST = HostIdentity("workers", "x86_64", "qemu", "stable", "e0f3745b108f471cbd4883c6fbed8cdd", 0.5)
ENGINE = FakeEngine(FakeHost("1"))
SERVER, GRAPH = "https://updates.example/", "file:///graph.json"
CHECKSUM = "a" * 64
IMAGE = f"quay.io/fedora/fedora-coreos@sha256:{'b' * 64}"


def chosen(source: str, base_url: str = "", graph: str = "") -> Discovery:
    discovery = DiscoverySettings(source, 12, "/etc/ca.pem", StaticGraphSettings(graph))
    settings = Settings(discovery=discovery, cincinnati=CincinnatiSettings(base_url))
    return discovery_for(settings, HOST, NOBODY, FakeClock(), ENGINE.latest)


def refusal(discovery: Discovery) -> TidegateError:
    with pytest.raises(TidegateError) as caught:
        asyncio.run(discovery.find(CHECKSUM, "1.0"))
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize("graph", ["", GRAPH])
@pytest.mark.parametrize("source", ["auto", "cincinnati"])
def test_a_server(source: str, graph: str) -> None:
    assert chosen(source, SERVER, graph) == Cincinnati(SERVER, NOBODY, HOST, 12, "/etc/ca.pem")


@pytest.mark.parametrize(("source", "server"), [("auto", ""), ("static_graph", ""), ("static_graph", SERVER)])
def test_a_graph(source: str, server: str) -> None:
    found = chosen(source, server, GRAPH)
    assert isinstance(found, StaticGraph)
    assert (found.url, found.host, found.timeout_secs, found.ca_file) == (GRAPH, HOST, 12, "/etc/ca.pem")


@pytest.mark.parametrize(
    ("source", "server", "graph"), [("auto", "", ""), ("native", "", ""), ("native", SERVER, GRAPH)]
)
def test_the_engine(source: str, server: str, graph: str) -> None:
    assert chosen(source, server, graph) == Native(ENGINE.latest, 12)


@pytest.mark.parametrize(
    ("source", "server", "graph", "what"),
    [
        ("cincinnati", "", GRAPH, "cincinnati.base_url is empty"),
        ("static_graph", SERVER, "", "discovery.static_graph.url is empty"),
    ],
)
def test_a_source_that_cannot_be_asked_says_why_at_each_check(source: str, server: str, graph: str, what: str) -> None:
    found = chosen(source, server, graph)
    assert isinstance(found, Unavailable)
    error = refusal(found)
    assert error.kind is ErrorKind.DISCOVERY_UNAVAILABLE
    assert what in error.message


# --------------------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    ("discovery", "key"),
    [
        (Cincinnati("https://x/${platform}/", NOBODY, HostIdentity("g", "x86_64", stream="s")), "cincinnati.base_url"),
        (StaticGraph("file:///${platform}", NOBODY, HostIdentity("g", "x86_64")), "static_graph.url"),
    ],
)
def test_a_variable_that_is_not_known_here_is_named_with_its_key(discovery: Discovery, key: str) -> None:
    error = refusal(discovery)
    assert error.kind is ErrorKind.DISCOVERY_UNAVAILABLE
    assert key in error.message
    assert "${platform}" in error.message


def test_the_stream_may_come_from_the_engine_at_each_check() -> None:
    graph = StaticGraph("file:///${stream}.json", NOBODY, HostIdentity("g", "x86_64"))
    assert "set identity.stream" in refusal(graph).remedy
    with pytest.raises(TidegateError) as caught:
        asyncio.run(graph.find(CHECKSUM, "1.0", "stable"))
    assert caught.value.kind is ErrorKind.NET_WORKER_FAILED, "there is an address now, and nobody to ask there"


# --------------------------------------------------------------------------- what a server is told


def test_a_server_is_told_all_that_the_protocol_has() -> None:
    assert dict(query(HOST, CHECKSUM, "42.1")) == {
        "basearch": "x86_64",
        "stream": "stable",
        "node_uuid": "e0f3745b108f471cbd4883c6fbed8cdd",
        "os_version": "42.1",
        "os_checksum": CHECKSUM,
        "group": "workers",
        "platform": "qemu",
        "rollout_wariness": "0.500000",
    }


def test_what_is_not_known_is_left_away_but_for_the_platform() -> None:
    told = dict(query(HostIdentity("default", "x86_64", stream="next"), CHECKSUM, "42.1"))
    assert set(told) == {"basearch", "stream", "os_version", "os_checksum", "group", "platform"}
    assert told["platform"] == ""


@pytest.mark.parametrize(
    ("wariness", "text"), [(0.0, "0.000000"), (1.0, "1.000000"), (1 / 3, "0.333333"), (1e-9, "0.000000")]
)
def test_wariness_has_six_decimals(wariness: float, text: str) -> None:
    host = HostIdentity("g", "x86_64", stream="s", rollout_wariness=wariness)
    assert dict(query(host, CHECKSUM, "1"))["rollout_wariness"] == text


def test_a_host_that_runs_an_image_asks_for_images() -> None:
    told = dict(query(HOST, IMAGE, "42.1"))
    assert (told["oci"], told["os_checksum"]) == ("true", IMAGE)


def test_a_server_is_not_asked_without_the_stream_that_it_requires() -> None:
    error = refusal(Cincinnati(SERVER, NOBODY, HostIdentity("g", "x86_64")))
    assert error.kind is ErrorKind.DISCOVERY_UNAVAILABLE
    assert error.remedy == "set identity.stream"
