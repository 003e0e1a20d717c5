"""Discovery from a Cincinnati server, end to end: agent, net-worker, and correct and faulty web servers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.fakes.http_misbehaving import (
    Behaviour,
    Caller,
    answers,
    bomb,
    cut_short,
    drips,
    endless,
    raw,
    resets,
    serving,
    silent,
    zipped,
)
from tidegate.discovery.base import Discovery, Offers
from tidegate.discovery.cincinnati import Cincinnati
from tidegate.discovery.graph import MAX_GRAPH_BYTES
from tidegate.discovery.graph_keys import AGE_INDEX_KEY, BARRIER_KEY, DEAD_END_KEY, SCHEME_KEY
from tidegate.discovery.rollout import DURATION_KEY, ROLLOUT_KEY, START_EPOCH_KEY
from tidegate.errors import ErrorKind, TidegateError
from tidegate.identity import HostIdentity
from tidegate.net.client import NetClient

ENOUGH_SECS = 60.0
SOON_SECS = 2.0
MIB = 1024 * 1024
NODE = "e0f3745b108f471cbd4883c6fbed8cdd"
HOST = HostIdentity("workers", "x86_64", "qemu", "stable", NODE, 0.5)
IMAGES = [f"quay.io/fedora/fedora-coreos@sha256:{digit * 64}" for digit in "0123"]
CHECKSUMS = [digit * 64 for digit in "0123"]


WAYS: object = [[0, 1], [0, 3], [0, 2]]


def graph(
    payloads: list[str] = CHECKSUMS, edges: object = WAYS, metadata: Mapping[str, str] = MappingProxyType({})
) -> bytes:
    scheme = {SCHEME_KEY: "oci" if payloads is IMAGES else "checksum"}
    nodes = [
        {"version": f"42.{age}", "payload": payload, "metadata": {AGE_INDEX_KEY: str(age), **scheme, **metadata}}
        for age, payload in enumerate(payloads)
    ]
    return json.dumps({"nodes": nodes, "edges": edges}).encode()


def find(base_url: str, *, host: HostIdentity = HOST, payload: str = CHECKSUMS[0], secs: float = ENOUGH_SECS) -> Offers:
    discovery: Discovery = Cincinnati(base_url, NetClient(), host, secs)
    return asyncio.run(discovery.find(payload, "42.0"))


def failure(behaviour: Behaviour, secs: float = ENOUGH_SECS) -> TidegateError:
    with serving(behaviour) as server, pytest.raises(TidegateError) as caught:
        find(server.url("/", userinfo="me:secret@"), secs=secs)
    error = caught.value
    assert error.message.startswith(server.url("/v1/graph: ", userinfo="***@")), error.message
    assert NODE not in str(error), "messages name the address, not all that was asked"
    assert "secret" not in str(error)
    assert error.remedy
    return error


# --------------------------------------------------------------------------- what is asked


@pytest.mark.parametrize("base", ["/", "", "/updates", "/updates/"])
def test_the_request_is_that_of_the_protocol(base: str) -> None:
    with serving(answers(graph())) as server:
        offers = find(server.url(base))
    assert [release.version for release in offers.candidates] == ["42.1", "42.3", "42.2"]
    (head,) = server.requests
    line, *headers = head.splitlines()
    method, target, _ = line.split(" ")
    assert (method, urlsplit(target).path) == ("GET", f"{base.rstrip('/')}/v1/graph")
    assert dict(parse_qsl(urlsplit(target).query, strict_parsing=True)) == {
        "basearch": "x86_64",
        "stream": "stable",
        "node_uuid": NODE,
        "os_version": "42.0",
        "os_checksum": CHECKSUMS[0],
        "group": "workers",
        "platform": "qemu",
        "rollout_wariness": "0.500000",
    }
    assert "accept: application/json" in [header.lower() for header in headers]


def test_what_was_not_set_is_not_told() -> None:
    with serving(answers(graph())) as server:
        find(server.url("/"), host=HostIdentity("default", "x86_64", stream="next"))
    query = dict(parse_qsl(urlsplit(server.requests[0].split(" ")[1]).query, keep_blank_values=True))
    assert not {"rollout_wariness", "node_uuid", "oci"} & set(query)
    assert query["platform"] == ""


def test_a_host_that_runs_an_image_asks_for_images_and_gets_them_whole() -> None:
    with serving(answers(graph(IMAGES))) as server:
        offers = find(server.url("/"), payload=IMAGES[0])
    query = dict(parse_qsl(urlsplit(server.requests[0].split(" ")[1]).query))
    assert (query["oci"], query["os_checksum"]) == ("true", IMAGES[0])
    assert [release.payload for release in offers.candidates] == [IMAGES[1], IMAGES[3], IMAGES[2]]


def test_variables_and_characters_that_mean_something_in_a_url_arrive_as_they_are() -> None:
    host = HostIdentity("a-b.c", "x86_64", stream="next/42")
    with serving(answers(graph())) as server:
        discovery = Cincinnati(server.url("/${group}/"), NetClient(), host)
        asyncio.run(discovery.find(CHECKSUMS[0], "42.0 (A&B=C+D%20)"))
    target = urlsplit(server.requests[0].split(" ")[1])
    assert target.path == "/a-b.c/v1/graph"
    query = dict(parse_qsl(target.query))
    assert (query["stream"], query["os_version"]) == ("next/42", "42.0 (A&B=C+D%20)")


# --------------------------------------------------------------------------- what it answers


def test_a_rollout_is_the_servers_and_not_applied_twice() -> None:
    far = {ROLLOUT_KEY: "true", START_EPOCH_KEY: "4102444800", DURATION_KEY: "60"}
    with serving(zipped(graph(metadata=far))) as server:
        offers = find(server.url("/"))
    assert (len(offers.candidates), offers.deferred) == (3, ())


def test_a_booted_release_that_the_server_does_not_list() -> None:
    with serving(answers(graph())) as server:
        assert find(server.url("/"), payload="f" * 64) == Offers((), None, None)


def test_a_dead_end_and_a_barrier() -> None:
    with serving(answers(graph(metadata={DEAD_END_KEY: "true"}))) as server:
        offers = find(server.url("/"))
    assert (offers.candidates, offers.dead_end) == ((), "no reason given")
    with serving(answers(graph(metadata={BARRIER_KEY: "true"}))) as server:
        offers = find(server.url("/"))
    assert [release.version for release in offers.candidates] == ["42.1"]
    assert [held.release.version for held in offers.deferred] == ["42.3", "42.2"]
    assert "comes after the barrier 42.1" in offers.deferred[0].reason


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (graph(edges=[[0, 4]]), "edges[0] is a list, but the nodes are numbered 0 to 3"),
        (graph(edges=[[0, 1], [1, 0]]), "2 releases form a cycle"),
        (graph(edges=[[0, "1"]]), "not a pair of node numbers"),
        (graph(edges=None), "edges is None, not a list"),
        (graph([CHECKSUMS[0]] * 2), "nodes[0] and nodes[1] have the same payload"),
        (graph().replace(b"42.1", b"42.0"), "nodes[0] and nodes[1] have the same version"),
        (graph().replace(b'"checksum"', b"7"), "is 7, not text"),
        (b'{"kind": "x", "value": "y"}', "nodes is missing"),
        (b"[]", "the graph is a list, not an object"),
        (b"", "the answer is empty"),
        (b"<html>Log in</html>", "a page in HTML or XML"),
    ],
)
def test_graphs_that_contradict_themselves(body: bytes, what: str) -> None:
    error = failure(answers(body))
    assert error.kind is ErrorKind.DISCOVERY_NONSENSE
    assert what in error.message


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b'{"kind": "invalid_scope", "value": "no stream next"}', "400 Bad Request", ": invalid_scope: no stream next"),
        (b'{"kind": 5, "value": "x"}', "500 Internal Server Error", ': {"kind": 5, "value": "x"}'),
        (b"", "503 Service Unavailable", ""),
        (b"\x1b[2Jgone", "404 Not Found", ": [2Jgone"),
    ],
)
def test_errors_are_shown(body: bytes, status: str, said: str) -> None:
    error = failure(answers(body, status))
    assert error.kind is ErrorKind.DISCOVERY_REFUSED
    assert error.message.endswith(f"v1/graph: answers {status}{said}")


def test_redirects_are_refused_with_where_they_lead() -> None:
    error = failure(answers(b"", "302 Found", {"Location": "https://other.example/v1/graph"}))
    assert error.kind is ErrorKind.DISCOVERY_REFUSED
    assert "points to https://other.example/v1/graph, but redirects are not followed" in error.message


@pytest.mark.parametrize(("wish", "secs"), [("120", 120.0), ("Sat, 21 Nov 2026 10:02:00 GMT", 120.0), ("soon", None)])
def test_a_server_that_asks_for_patience(wish: str, secs: float | None) -> None:
    headers = {"Retry-After": wish, "Date": "Sat, 21 Nov 2026 10:00:00 GMT"}
    assert failure(answers(b"", "503 Service Unavailable", headers)).retry_after_secs == secs


# --------------------------------------------------------------------------- servers that misbehave


def large(caller: Caller) -> None:
    """A proper answer of 100 MiB."""
    caller.send(f"HTTP/1.1 200 OK\r\nContent-Length: {100 * MIB}\r\n\r\n".encode())
    for _ in range(100):
        caller.send(b" " * MIB)


@pytest.mark.parametrize(
    ("behaviour", "kind", "what"),
    [
        (endless, ErrorKind.DISCOVERY_NONSENSE, f"larger than {MAX_GRAPH_BYTES} bytes"),
        (bomb(100 * MIB), ErrorKind.DISCOVERY_NONSENSE, f"larger than {MAX_GRAPH_BYTES} bytes"),
        (large, ErrorKind.DISCOVERY_NONSENSE, f"larger than {MAX_GRAPH_BYTES} bytes"),
        (cut_short(graph()), ErrorKind.DISCOVERY_UNREACHABLE, "broke off after"),
        (resets(), ErrorKind.DISCOVERY_UNREACHABLE, ""),
        (raw(b"SSH-2.0-OpenSSH_9.2\r\n"), ErrorKind.DISCOVERY_NONSENSE, "does not speak valid HTTP"),
    ],
)
def test_servers_that_misbehave(behaviour: Behaviour, kind: ErrorKind, what: str) -> None:
    error = failure(behaviour)
    assert error.kind is kind, error
    assert what in error.message


@pytest.mark.parametrize(
    "behaviour", [silent, drips(b"HTTP/1.1 200 OK\r\n\r\n{"), drips(b"HTTP/1.1 200 OK\r\nX: "), drips(b"")]
)
def test_servers_that_take_their_time_are_cut_off_at_the_deadline(behaviour: Behaviour) -> None:
    began = time.monotonic()
    error = failure(behaviour, SOON_SECS)
    assert time.monotonic() - began < SOON_SECS + 10.0
    assert error.kind is ErrorKind.DISCOVERY_UNREACHABLE
    assert error.message.endswith("no whole answer within 2 s") or "no answer in time" in error.message


def test_nobody_there_and_no_authorities(tmp_path: Path) -> None:
    with pytest.raises(TidegateError) as caught:
        find("http://127.0.0.1:1/")
    assert caught.value.kind is ErrorKind.DISCOVERY_UNREACHABLE
    nothing = tmp_path / "ca.pem"
    with pytest.raises(TidegateError) as caught:
        asyncio.run(Cincinnati("https://127.0.0.1:1/", NetClient(), HOST, 9.0, str(nothing)).find("c", "1"))
    assert caught.value.kind is ErrorKind.CONFIG_INVALID
    assert str(nothing) in caught.value.message
