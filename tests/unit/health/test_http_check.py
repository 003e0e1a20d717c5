"""The wire format of HTTP checks, and how the net-worker judges an answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.health.http_request import MAX_BYTES, judged, out_of_time
from tidegate.health.http_wire import HttpCheckEvent, HttpCheckRequest
from tidegate.net.answers import HttpResponse
from tidegate.net.wire import Json, WireError, decode_event, decode_request, encode_event, encode_request

TEXT = st.text(max_size=30)
REQUESTS = st.builds(
    HttpCheckRequest, TEXT, st.integers(), st.integers(), st.none() | TEXT, st.floats(0, 1e6), st.none() | TEXT
)


def request(contains: str | None = None, low: int = 200, high: int = 399) -> HttpCheckRequest:
    return HttpCheckRequest("http://u:secret@h/x", low, high, contains, 5, None)


@given(REQUESTS)
def test_requests_survive_encoding(one: HttpCheckRequest) -> None:
    job, fields = decode_request(encode_request(one))
    assert (job, HttpCheckRequest.read(fields)) == (HttpCheckRequest.job, one)


@given(st.builds(HttpCheckEvent, st.booleans(), TEXT))
def test_events_survive_encoding(one: HttpCheckEvent) -> None:
    assert decode_event(encode_event(one), HttpCheckEvent) == one


@pytest.mark.parametrize("fields", [{}, {"url": 1}])
def test_an_incomplete_request_is_rejected(fields: Json) -> None:
    with pytest.raises(WireError):
        HttpCheckRequest.read(fields)


def test_a_malformed_event_is_rejected() -> None:
    with pytest.raises(WireError):
        decode_event(b'{"kind": "probed", "passed": 1, "detail": ""}', HttpCheckEvent)


@pytest.mark.parametrize(
    ("status", "body", "asked", "passed"),
    [
        (200, b"", request(), True),
        (301, b"", request(), True),
        (199, b"", request(), False),
        (400, b"", request(), False),
        (301, b"", request(low=200, high=200), False),
        (200, b"all is well", request("is w"), True),
        (200, b"all is bad", request("well"), False),
        (500, b"all is well", request("well"), False),
        (200, b"-" * (MAX_BYTES - 3) + b"well", request("well"), False),
        (200, b"-" * (MAX_BYTES - 4) + b"well", request("well"), True),
        (200, "käse".encode(), request("käse"), True),
    ],
)
def test_an_answer_passes_by_its_status_and_its_text(
    status: int, body: bytes, asked: HttpCheckRequest, passed: bool
) -> None:
    event = judged(asked, HttpResponse(status, {}, body))
    assert event.passed is passed
    assert f"answers {status}" in event.detail


def test_details_are_printable_and_have_no_password() -> None:
    details = [
        judged(request(), HttpResponse(500, {}, b"\x1b[31mred\nalert" + b"x" * 10_000)).detail,
        judged(request("no\u202esuch"), HttpResponse(200, {}, b"")).detail,
        out_of_time(request()).detail,
    ]
    for detail in details:
        assert detail.isprintable()
        assert len(detail) < 400
        assert "secret" not in detail
    assert "red alert" in details[0]
    assert "within 5 s" in details[2]
