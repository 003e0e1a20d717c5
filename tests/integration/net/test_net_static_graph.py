"""Discovery from a static graph, end to end: agent, net-worker, real files and a real web server."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import pytest

from tests.fakes.clock import START, FakeClock
from tests.fakes.http_misbehaving import Behaviour, answers, bomb, serving, zipped
from tidegate.discovery.base import Discovery, Offers
from tidegate.discovery.graph import MAX_GRAPH_BYTES
from tidegate.discovery.rollout import DURATION_KEY, ROLLOUT_KEY, START_EPOCH_KEY
from tidegate.discovery.static_graph import StaticGraph
from tidegate.errors import ErrorKind, TidegateError
from tidegate.identity import HostIdentity
from tidegate.net.client import NetClient
from tidegate.net.wire import NetError

GRAPH = json.dumps(
    {
        "nodes": [
            {
                "version": f"{i}.0",
                "payload": f"c{i}",
                "metadata": {
                    "org.fedoraproject.coreos.scheme": "checksum",
                    "org.fedoraproject.coreos.releases.age_index": str(i),
                },
            }
            for i in range(3)
        ],
        "edges": [[0, 1], [1, 2]],
    }
).encode()


HOST = HostIdentity("default", "x86_64", stream="stable", rollout_wariness=0.5)


def find(url: str, payload: str = "c0", clock: FakeClock | None = None) -> Offers:
    discovery: Discovery = StaticGraph(url, NetClient(), HOST, clock or FakeClock())
    return asyncio.run(discovery.find(payload, "0.0"))


def failure(behaviour: Behaviour, userinfo: str = "") -> tuple[TidegateError, str]:
    """What comes of asking a server that does ``behaviour``: the error, and how it names the address."""
    with serving(behaviour) as server, pytest.raises(TidegateError) as caught:
        find(server.url(userinfo=userinfo))
    return caught.value, server.url(userinfo="***@" if userinfo else "")


@pytest.mark.parametrize(
    "behaviour", [answers(GRAPH), answers(GRAPH, headers={"Content-Type": "text/html"}), zipped(GRAPH)]
)
def test_from_a_web_server(behaviour: Behaviour) -> None:
    with serving(behaviour) as server:
        offers = find(server.url())
    assert offers.booted_known
    assert [release.version for release in offers.candidates] == ["1.0"]
    assert offers.candidates[0].metadata["org.fedoraproject.coreos.scheme"] == "checksum"


def test_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "my graph.json").write_bytes(GRAPH)
    offers = find((tmp_path / "my graph.json").as_uri(), "c1")
    assert [release.payload for release in offers.candidates] == ["c2"]


def test_a_rollout_is_applied_by_the_host_and_reaches_it_in_time(tmp_path: Path) -> None:
    graph = json.loads(GRAPH)
    rollout = {ROLLOUT_KEY: "true", START_EPOCH_KEY: str(int(START.timestamp())), DURATION_KEY: "60"}
    graph["nodes"][1]["metadata"] |= rollout
    (tmp_path / "stable.json").write_text(json.dumps(graph), encoding="utf-8")
    url, clock = f"{tmp_path.as_uri()}/${{stream}}.json", FakeClock()
    clock.advance(20 * 60)
    held = find(url, clock=clock)
    assert held.candidates == ()
    assert held.deferred[0].reason == "is offered to 33 % of hosts now"
    assert held.deferred[0].turn_at == START + timedelta(minutes=30)
    clock.advance(10 * 60)
    assert [release.version for release in find(url, clock=clock).candidates] == ["1.0"]


def test_a_rollout_that_makes_no_sense_moves_no_host(tmp_path: Path) -> None:
    graph = json.loads(GRAPH)
    graph["nodes"][1]["metadata"] |= {ROLLOUT_KEY: "true", START_EPOCH_KEY: "tomorrow"}
    (tmp_path / "graph.json").write_text(json.dumps(graph), encoding="utf-8")
    with pytest.raises(TidegateError, match=r"the rollout of 1\.0: .*start_epoch is 'tomorrow'") as caught:
        find((tmp_path / "graph.json").as_uri())
    assert caught.value.kind is ErrorKind.DISCOVERY_NONSENSE
    assert caught.value.message.startswith(f"file://{tmp_path}/graph.json: ")


def test_a_release_that_the_graph_does_not_know(tmp_path: Path) -> None:
    (tmp_path / "graph.json").write_bytes(GRAPH)
    assert find((tmp_path / "graph.json").as_uri(), "c9") == Offers((), None, None)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(TidegateError) as caught:
        find((tmp_path / "graph.json").as_uri())
    assert caught.value.kind is ErrorKind.DISCOVERY_UNREACHABLE
    assert caught.value.message == f"file://{tmp_path}/graph.json: the file cannot be read: No such file or directory"
    assert caught.value.remedy == f"put the update graph at {tmp_path}/graph.json, readable by the user tidegate"


def test_a_folder_and_an_endless_file(tmp_path: Path) -> None:
    with pytest.raises(TidegateError, match="the file cannot be read: it is a folder, not a plain file"):
        find(tmp_path.as_uri())
    with pytest.raises(TidegateError, match="it is a device, not a plain file"):
        find("file:///dev/zero")
    with (tmp_path / "huge").open("wb") as huge:
        huge.truncate(MAX_GRAPH_BYTES + 1)
    with pytest.raises(TidegateError, match=f"larger than {MAX_GRAPH_BYTES} bytes"):
        find((tmp_path / "huge").as_uri())


@pytest.mark.parametrize(
    ("behaviour", "kind", "words"),
    [
        (answers(b"  "), ErrorKind.DISCOVERY_NONSENSE, "the answer is empty"),
        (
            answers(b"<!DOCTYPE html>\n<title>Log in</title>"),
            ErrorKind.DISCOVERY_NONSENSE,
            "the answer is a page in HTML or XML, not an update graph: <!DOCTYPE html> <title>Log in</title>",
        ),
        (answers(GRAPH[:-10]), ErrorKind.DISCOVERY_NONSENSE, "not JSON: "),
        (answers(b" " * (MAX_GRAPH_BYTES + 1)), ErrorKind.DISCOVERY_NONSENSE, f"larger than {MAX_GRAPH_BYTES} bytes"),
        (bomb(100 * 1024 * 1024), ErrorKind.DISCOVERY_NONSENSE, f"larger than {MAX_GRAPH_BYTES} bytes"),
        (answers(b"", "204 No Content"), ErrorKind.DISCOVERY_REFUSED, "answers 204 No Content"),
        (answers(b"gone", "404 Not Found"), ErrorKind.DISCOVERY_REFUSED, "answers 404 Not Found: gone"),
        (answers(b"", "299 Odd"), ErrorKind.DISCOVERY_REFUSED, "answers 299"),
        (
            answers(b'{"kind":"unknown_stream","value":"no stream next"}', "400 Bad Request"),
            ErrorKind.DISCOVERY_REFUSED,
            "answers 400 Bad Request: unknown_stream: no stream next",
        ),
        (
            answers(b"", "301 Moved Permanently", {"Location": "https://me:secret@other/"}),
            ErrorKind.DISCOVERY_REFUSED,
            "answers 301 Moved Permanently and points to https://***@other/, but redirects are not followed",
        ),
    ],
)
def test_servers_that_answer_something_else(behaviour: Behaviour, kind: ErrorKind, words: str) -> None:
    error, where = failure(behaviour)
    assert (error.kind, error.message.startswith(f"{where}: {words}")) == (kind, True), error.message
    assert error.remedy


def test_a_server_that_asks_for_patience() -> None:
    error, _ = failure(answers(b"", "429 Too Many Requests", {"Retry-After": "90"}))
    assert isinstance(error, NetError)
    assert error.retry_after_secs == 90.0


def test_passwords_do_not_show() -> None:
    error, where = failure(answers(b"", "401 Unauthorized"), userinfo="me:secret@")
    assert error.message == f"{where}: answers 401 Unauthorized"
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://host/graph", "ftp://host/graph: not a valid address: its scheme is 'ftp'"),
        (
            "https://me:se/cret@host/",
            "https://***@host/: not a valid address: its host or port is invalid",
        ),
    ],
)
def test_addresses_that_cannot_be_asked(url: str, words: str) -> None:
    with pytest.raises(TidegateError) as caught:
        find(url)
    assert caught.value.kind is ErrorKind.CONFIG_INVALID
    assert caught.value.message.startswith(words)
