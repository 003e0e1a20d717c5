"""The envelope of messages between agent and net-worker: round trips, and rejection of anything else."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.discovery.base import Deferred, Offers
from tidegate.discovery.wire import GraphRequest, OffersEvent, Trust
from tidegate.errors import ErrorKind
from tidegate.net.wire import (
    MAX_EVENT_BYTES,
    MAX_REQUEST_BYTES,
    ErrorEvent,
    NetError,
    WireError,
    decode_event,
    decode_request,
    encode_event,
    encode_request,
    error_event,
)
from tidegate.release import Release

TEXT = st.text(max_size=30)
SECS = st.floats(0, 1e6)
RELEASES = st.builds(Release, TEXT, TEXT, st.integers(0, 10**18) | st.none(), st.dictionaries(TEXT, TEXT, max_size=3))
INSTANTS = st.datetimes(datetime(1970, 1, 1), datetime(9999, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001 - hypothesis adds the zone
    lambda instant: instant.replace(microsecond=0)
)
HELD_BACK = st.builds(Deferred, RELEASES, TEXT, INSTANTS | st.none())
OFFERS = st.builds(
    Offers,
    st.lists(RELEASES, max_size=3).map(tuple),
    RELEASES | st.none(),
    TEXT | st.none(),
    st.lists(HELD_BACK, max_size=2).map(tuple),
)
TRUSTS = st.builds(Trust, TEXT, TEXT, TEXT, TEXT)
QUERIES = st.lists(st.tuples(TEXT, TEXT), max_size=3).map(tuple)
ERRORS = st.builds(ErrorEvent, st.sampled_from(ErrorKind), TEXT, TEXT, SECS | st.none())

OFFERS_LINE: dict[str, object] = {
    "kind": "offers",
    "candidates": [],
    "booted": None,
    "dead_end": None,
    "flaws": [],
    "flaw_count": 0,
    "deferred": [],
}
ERROR_LINE: dict[str, object] = {
    "kind": "error",
    "error": "discovery.refused",
    "message": "m",
    "remedy": "r",
    "retry_after_secs": None,
}
RELEASE: dict[str, object] = {"version": "1", "payload": "c1", "age_index": 1, "metadata": {}}
HELD: dict[str, object] = {"release": RELEASE, "reason": "comes later", "turn_at": None}
GRAPH_LINE: dict[str, object] = {
    "url": "http://h/",
    "booted_payload": "c1",
    "timeout_secs": 1,
    "max_bytes": 1,
    "ca_file": None,
    "query": [],
    "trust": None,
}
TRUST_LINE = {"root_file": "/r", "repository_url": "http://h/", "target": "g", "folder": "/f"}


def asked(fields: dict[str, object]) -> bytes:
    """A line that asks for a graph."""
    return json.dumps({"job": GraphRequest.job, "request": fields}).encode()


def read_request(line: bytes) -> GraphRequest:
    """What the worker makes of a line."""
    _, fields = decode_request(line)
    return GraphRequest.read(fields)


@given(st.builds(GraphRequest, TEXT, TEXT, SECS, st.integers(0), TEXT | st.none(), QUERIES, st.none() | TRUSTS))
def test_requests_come_back_as_they_were(request: GraphRequest) -> None:
    line = encode_request(request)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    job, fields = decode_request(line)
    assert (job, GraphRequest.read(fields)) == (GraphRequest.job, request)


@given(st.builds(OffersEvent, OFFERS) | ERRORS)
def test_events_come_back_as_they_were(event: OffersEvent | ErrorEvent) -> None:
    line = encode_event(event)
    assert line.count(b"\n") == 1
    assert decode_event(line, OffersEvent) == event


def test_metadata_comes_back_too() -> None:
    release = Release("1", "c1", 1, {"a": "b"})
    event = decode_event(encode_event(OffersEvent(Offers((release,), None, None))), OffersEvent)
    assert isinstance(event, OffersEvent)
    assert event.offers.candidates[0].metadata == {"a": "b"}  # Release compares without it


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"Traceback (most recent call last):",
        b"[" * 100_000,
        b"\xff\xfe",
        b"null",
        b"{}{}",
        json.dumps({"kind": "nothing"}).encode(),
        json.dumps(OFFERS_LINE | {"candidates": [1]}).encode(),
        json.dumps(OFFERS_LINE | {"candidates": None}).encode(),
        json.dumps(OFFERS_LINE | {"dead_end": True}).encode(),
        json.dumps(OFFERS_LINE | {"deferred": None}).encode(),
        json.dumps(OFFERS_LINE | {"deferred": [RELEASE]}).encode(),
        json.dumps(OFFERS_LINE | {"deferred": [HELD | {"turn_at": "soon"}]}).encode(),
        json.dumps(OFFERS_LINE | {"deferred": [HELD | {"turn_at": "2026-11-21T10:00:00"}]}).encode(),
        json.dumps(OFFERS_LINE | {"deferred": [HELD | {"release": None}]}).encode(),
        json.dumps(OFFERS_LINE | {"booted": RELEASE | {"version": 1}}).encode(),
        json.dumps(OFFERS_LINE | {"booted": RELEASE | {"metadata": {"a": 1}}}).encode(),
        json.dumps(ERROR_LINE | {"error": "no.such.kind"}).encode(),
        json.dumps(ERROR_LINE | {"retry_after_secs": "soon"}).encode(),
    ],
)
def test_anything_else_is_no_event(line: bytes) -> None:
    with pytest.raises(WireError):
        decode_event(line, OffersEvent)


def test_the_lines_that_are_spoilt_below_are_good() -> None:
    assert decode_event(json.dumps(OFFERS_LINE | {"deferred": [HELD]}).encode(), OffersEvent)
    assert read_request(asked(GRAPH_LINE | {"query": [["a", "b"]], "trust": TRUST_LINE}))


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"{}",
        b'{"job":"tidegate.discovery.request"}',
        asked({}),
        b'{"kind":"offers"}',
        asked(GRAPH_LINE | {"query": dict[str, str]()}),
        asked(GRAPH_LINE | {"query": ["ab"]}),
        asked(GRAPH_LINE | {"trust": False}),
        asked(GRAPH_LINE | {"trust": TRUST_LINE | {"root_file": None}}),
        asked({key: value for key, value in GRAPH_LINE.items() if key != "trust"}),
        asked(GRAPH_LINE | {"query": [["a", 1]]}),
    ],
)
def test_anything_else_is_no_request(line: bytes) -> None:
    with pytest.raises(WireError):
        read_request(line)


def test_lines_are_bounded() -> None:
    with pytest.raises(WireError, match=str(MAX_REQUEST_BYTES)):
        encode_request(GraphRequest("http://x/" + "a" * MAX_REQUEST_BYTES, "c1", 1, 1))
    with pytest.raises(WireError, match=str(MAX_EVENT_BYTES)):
        encode_event(ErrorEvent(ErrorKind.DISCOVERY_REFUSED, "a" * MAX_EVENT_BYTES))


def test_an_error_keeps_the_servers_wish_on_its_way() -> None:
    event = ErrorEvent(ErrorKind.DISCOVERY_REFUSED, "answers 503", "wait", 120.0)
    assert error_event(NetError(event), where="http://x/") == ErrorEvent(
        ErrorKind.DISCOVERY_REFUSED, "http://x/: answers 503", "wait", 120.0
    )
