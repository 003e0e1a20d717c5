"""Interpretation of lock servers' answers: granted, busy, refused, not a lock server, or uncertain."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.errors import ErrorKind, TidegateError
from tidegate.fleetlock.account import NOT_TAKEN, LockBusy, LockGranted, LockReleased
from tidegate.fleetlock.answers import MAX_ANSWER_BYTES, granted_or_busy, released
from tidegate.net.answers import HttpResponse
from tidegate.net.wire import NetError

REFUSED, NONSENSE, UNCERTAIN = ErrorKind.LOCK_REFUSED, ErrorKind.LOCK_NONSENSE, ErrorKind.LOCK_UNCERTAIN
LOGIN = b"<!DOCTYPE html><title>Log in</title>"
JSON = {"content-type": "application/json"}
PLAIN = {"content-type": "text/plain; charset=utf-8"}
HTML = {"content-type": "text/html; charset=UTF-8"}


def error(kind: object, value: object = "words") -> bytes:
    return json.dumps({"kind": kind, "value": value}).encode()


def response(status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> HttpResponse:
    return HttpResponse(status, headers or {}, body)


YES = {
    "airlock": response(200),
    "poseidon, new": response(200, b"obtained reboot lease", PLAIN),
    "poseidon, again": response(200, b"retained reboot lease", PLAIN),
    "heathcliff26": response(200, b'{\n  "kind": "success",\n  "value": "The operation was succesfull"\n}', PLAIN),
    "tidegate": response(200, b'{"grant":"g1-17"}', JSON),
    "tidegate, of a later version": response(200, b'{"grant":"g2-17","rollout":"r7","deadline_s":1800}', JSON),
}
RELEASED = {
    "poseidon, unlock": response(200, b"steady-state confirmed", PLAIN),
    "tidegate, unlock": response(200, b'{"state":"idle"}', JSON),
}


@pytest.mark.parametrize("name", YES)
def test_yes(name: str) -> None:
    assert granted_or_busy(YES[name]) == LockGranted()
    assert released(YES[name]) == LockReleased()


@pytest.mark.parametrize("name", RELEASED)
def test_the_yes_to_an_unlock_is_none_to_a_lock_request(name: str) -> None:
    assert released(RELEASED[name]) == LockReleased()
    with pytest.raises(TidegateError) as caught:
        granted_or_busy(RELEASED[name])
    assert caught.value.kind is NONSENSE


HOSTILE: dict[str, tuple[int, bytes]] = {
    "201": (201, b""),
    "202": (202, b"obtained reboot lease"),
    "203": (203, b""),
    "204": (204, b""),
    "205": (205, b""),
    "206": (206, b'{"grant":"g1-17"}'),
    "207": (207, b""),
    "226": (226, b""),
    "a portal's JSON": (200, b'{"user-portal-url":"https://portal.example/","captive":true}'),
    "false": (200, b"false"),
    "true": (200, b"true"),
    "null": (200, b"null"),
    "zero": (200, b"0"),
    "one": (200, b"1"),
    "a number": (200, b"17.5"),
    "an empty object": (200, b"{}"),
    "an empty array": (200, b"[]"),
    "an array of a yes": (200, b'[{"grant":"g1-17"}]'),
    "a string": (200, b'"granted"'),
    "a quoted yes": (200, b'"obtained reboot lease"'),
    "granted: false": (200, b'{"granted": false}'),
    "granted: true": (200, b'{"granted": true}'),
    "status: error": (200, b'{"status": "error"}'),
    "status: ok": (200, b'{"status": "ok"}'),
    "a failure of success": (200, b'{"success": false}'),
    "grant: null": (200, b'{"grant": null}'),
    "grant: false": (200, b'{"grant": false}'),
    "grant: empty": (200, b'{"grant": ""}'),
    "grant: denied": (200, b'{"grant": "denied"}'),
    "grant: an object": (200, b'{"grant": {}}'),
    "state: error": (200, b'{"state": "error"}'),
    "state: login": (200, b'{"state": "login"}'),
    "kind: Success": (200, b'{"kind": "Success"}'),
    "kind: a list": (200, b'{"kind": ["success"]}'),
    "kind: both": (200, b'{"kind": "success", "kind": "lock_held"}'),
    "kind: an error beside a grant": (200, b'{"kind": "internal_error", "grant": "g1-17"}'),
    "busy as a success": (200, b'{"kind": "lock_held", "value": "held by 4aed"}'),
    "an error as a success": (200, b'{"kind": "internal_error", "value": "words"}'),
    "JavaScript": (200, b"window.location='https://portal.example/'"),
    "a sentence": (200, b"Welcome to the guest network."),
    "ok": (200, b"ok"),
    "OK": (200, b"OK\n"),
    "It works": (200, b"It works!"),
    "almost a yes": (200, b"obtained reboot lease for somebody else"),
    "a yes in capitals": (200, b"Obtained reboot lease"),
    "a yes twice": (200, b"obtained reboot lease\nobtained reboot lease"),
    "an update graph": (200, b'{"nodes": [], "edges": []}'),
    "release metadata": (200, b'{"version": "42.1", "payload": "c1"}'),
    "YAML": (200, b"kind: success"),
    "a form": (200, b"grant=g1-17"),
    "a zero byte": (200, b"\x00"),
    "a blank": (200, b" "),
    "many blanks": (200, b" " * 1_000_000),
    "many lines": (200, b"\n" * (MAX_ANSWER_BYTES + 1)),
    "a BOM": (200, b"\xef\xbb\xbf"),
    "UTF-16": (200, "obtained reboot lease".encode("utf-16")),
    "deep": (200, b"[" * 30_000),
    "much": (200, b'{"grant":"g1-17","x":"' + b"x" * MAX_ANSWER_BYTES + b'"}'),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("headers", [{}, JSON, PLAIN])
def test_a_success_that_no_lock_server_sends_is_nonsense(name: str, headers: dict[str, str]) -> None:
    for read in (granted_or_busy, released):
        with pytest.raises(TidegateError) as caught:
            read(response(*HOSTILE[name], headers))
        assert caught.value.kind is NONSENSE
        assert "base_url" in caught.value.remedy


def test_the_500_of_a_server_that_finds_no_kubernetes_node_says_what_lifts_it() -> None:
    with pytest.raises(NetError) as caught:
        released(response(500, error("internal_error", "error uncordoning node"), JSON))
    assert caught.value.kind is UNCERTAIN
    for words in ("error uncordoning node", "no Kubernetes node", "identity.node_uuid", "kubectl delete lease"):
        assert words in caught.value.message
    assert "tidegate lock forget" in caught.value.remedy


AIRLOCK_FULL = "answers 500 Internal Server Error: failed_lock: all 2 semaphore slots currently locked"
BUSY = {
    "airlock, full": (
        response(500, error("failed_lock", "all 2 semaphore slots currently locked") + b"\n", PLAIN),
        LockBusy(AIRLOCK_FULL),
    ),
    "airlock, no slots": (
        response(500, error("failed_lock", "all 0 semaphore slots currently locked"), PLAIN),
        LockBusy(AIRLOCK_FULL.replace("2", "0")),
    ),
    "airlock, conflict": (
        response(500, error("failed_lock", "conflict on semaphore detected, aborting"), PLAIN),
        LockBusy("answers 500 Internal Server Error: failed_lock: conflict on semaphore detected, aborting", 0.0),
    ),
    "airlock, conflict in words": (
        response(500, b"conflict on semaphore detected, aborting\n", PLAIN),
        LockBusy("answers 500 Internal Server Error: conflict on semaphore detected, aborting", 0.0),
    ),
    "poseidon, conflict": (
        response(423, error("lock_held", "reboot lease unavailable, held by "), JSON),
        LockBusy("answers 423 Locked: lock_held: reboot lease unavailable, held by", 0.0),
    ),
    "knubbis": (
        response(409, error("failed_lock", "all slots taken"), JSON),
        LockBusy("answers 409 Conflict: failed_lock: all slots taken"),
    ),
    "too many, at once": (response(429, b"", {"retry-after": "0"}), LockBusy("answers 429 Too Many Requests")),
    "too many": (response(429), LockBusy("answers 429 Too Many Requests")),
    "too many, wait": (
        response(429, error("rate_limited"), {"retry-after": "5"}),
        LockBusy("answers 429 Too Many Requests: rate_limited: words", 5.0),
    ),
    "the protocol's example": (
        response(503, error("failed_lock_semaphore_full")),
        LockBusy("answers 503 Service Unavailable: failed_lock_semaphore_full: words"),
    ),
}
LOCKED = {
    "poseidon": (
        response(423, error("lock_held", "reboot lease unavailable, held by 4aed"), JSON),
        LockBusy("answers 423 Locked: lock_held: reboot lease unavailable, held by 4aed"),
    ),
    "heathcliff26": (
        response(423, error("all_slots_full"), PLAIN),
        LockBusy("answers 423 Locked: all_slots_full: words"),
    ),
    "tidegate": (
        response(423, error("slot_cooling"), JSON | {"retry-after": "60"}),
        LockBusy("answers 423 Locked: slot_cooling: words", 60.0),
    ),
    "without a word": (response(423), LockBusy("answers 423 Locked")),
    "with a page": (
        response(423, LOGIN, HTML),
        LockBusy(f"answers 423 Locked with a page in HTML or XML: {LOGIN.decode()}"),
    ),
}


@pytest.mark.parametrize("name", [*BUSY, *(f"locked, {name}" for name in LOCKED)])
def test_busy(name: str) -> None:
    answer, expected = (BUSY | {f"locked, {key}": value for key, value in LOCKED.items()})[name]
    assert granted_or_busy(answer) == expected


@pytest.mark.parametrize("name", LOCKED)
def test_that_another_host_has_the_slot_means_that_this_one_has_not(name: str) -> None:
    answer, busy = LOCKED[name]
    assert released(answer) == LockReleased(busy.reason)


@pytest.mark.parametrize("name", BUSY)
def test_a_server_too_busy_to_take_a_slot_back_is_asked_again(name: str) -> None:
    answer, busy = BUSY[name]
    with pytest.raises(NetError) as caught:
        released(answer)
    assert (caught.value.kind, caught.value.message) == (UNCERTAIN, busy.reason)
    assert caught.value.retry_after_secs == busy.retry_after_secs
    assert "the agent retries" in caught.value.remedy


ELSEWHERE = {"location": "https://me:secret@portal.example/login"}
OTHERS = {
    "unknown group": (response(400, error("unknown_group", "no workers here")), REFUSED, "unknown_group: no workers"),
    "bad request in words": (response(400, b"bad request\n", PLAIN), REFUSED, "400 Bad Request: bad request"),
    "kind is a number": (response(400, error(7)), REFUSED, '400 Bad Request: {"kind": 7, "value": "words"}'),
    "kind is null": (response(400, error(None)), REFUSED, "null"),
    "value is an object": (response(400, error("k", {})), REFUSED, '"kind": "k"'),
    "an array": (response(400, b"[1]"), REFUSED, "400 Bad Request: [1]"),
    "without a word": (response(400), REFUSED, "answers 400 Bad Request"),
    "terminal codes": (response(400, b"\x1b[31mred\x00"), REFUSED, "400 Bad Request: [31mred"),
    "no credentials": (response(401, b"Unauthorized", PLAIN), REFUSED, "401 Unauthorized"),
    "not let in": (response(403, LOGIN, HTML), REFUSED, "403 Forbidden with a page in HTML or XML: <!DOCTYPE html>"),
    "not there": (response(404, b"404 page not found\n", PLAIN), REFUSED, "404 Not Found: 404 page not found"),
    "method": (response(405, error("method_not_allowed")), REFUSED, "405 Method Not Allowed: method_not_allowed"),
    "large": (response(413, error("request_too_large")), REFUSED, "413"),
    "a status of nobody's": (response(499), UNCERTAIN, "answers 499"),
    "a gateway's patience": (response(408, LOGIN, HTML), UNCERTAIN, "408 Request Timeout"),
    "airlock, store away": (response(500, error("failed_sem_init")), UNCERTAIN, "failed_sem_init: words"),
    "airlock, other": (response(500, error("failed_lock", "context deadline exceeded")), UNCERTAIN, "deadline"),
    "knubbis, full or broken": (
        response(500, error("failed_lock", "Internal Server Error")),
        UNCERTAIN,
        "failed_lock: Internal Server Error",
    ),
    "500 without a word": (response(500), UNCERTAIN, "answers 500 Internal Server Error"),
    "gateway, page": (response(502, LOGIN, HTML), UNCERTAIN, "502 Bad Gateway with a page"),
    "store away": (response(503, error("backend_unavailable"), {"retry-after": "5"}), UNCERTAIN, "backend_unavailable"),
    "gateway, time": (response(504), UNCERTAIN, "504 Gateway Timeout"),
    "beyond": (response(999), UNCERTAIN, "answers 999"),
    "a portal's status": (response(511, LOGIN, HTML), NONSENSE, "511 Network Authentication Required with a page"),
    "redirect": (
        response(302, b"", ELSEWHERE),
        NONSENSE,
        "answers 302 Found and points to https://***@portal.example/login, but redirects are not followed",
    ),
    "redirect that keeps the method": (response(307, b"", ELSEWHERE), NONSENSE, "307 Temporary Redirect and points"),
    "redirect to nowhere": (response(301), NONSENSE, "answers 301 Moved Permanently"),
    "not modified": (response(304), NONSENSE, "answers 304 Not Modified"),
    "switching": (response(101), NONSENSE, "answers 101 Switching Protocols"),
    "login page": (response(200, LOGIN, HTML), NONSENSE, "answers 200 OK with a page in HTML or XML: <!DOCTYPE html>"),
    "login page without a type": (response(200, b"\n" + LOGIN), NONSENSE, "with a page"),
    "login page called text": (response(200, b"\xef\xbb\xbf" + LOGIN, PLAIN), NONSENSE, "with a page"),
    "portal in words": (response(200, b"Please log in", HTML), NONSENSE, "answers 200 OK: Please log in"),
    "portal in capitals": (response(200, b"Hello", {"content-type": "Text/HTML"}), NONSENSE, "Hello"),
    "a page, XHTML": (response(200, b"x", {"content-type": "application/xhtml+xml"}), NONSENSE, "200 OK"),
    "an endless page": (response(200, LOGIN + b" " * MAX_ANSWER_BYTES, HTML), NONSENSE, "with a page"),
    "a book": (response(200, b"word " * 1000, PLAIN), NONSENSE, "answers 200 OK: word word"),
    "bytes": (response(200, b"\x89PNG\r\n\x1a\n\x00", {"content-type": "image/png"}), NONSENSE, "answers 200 OK"),
    "control characters": (response(200, b"ok\x07", PLAIN), NONSENSE, "answers 200 OK: ok"),
    "more than is taken": (response(200, b"[" + b"1," * 40_000, JSON), NONSENSE, "with more than 65536 bytes: [1,1"),
    "success with an error": (response(200, error("internal_error")), NONSENSE, "200 OK: internal_error: words"),
    "success with an error of another kind": (response(200, b'{"error": "login required"}'), NONSENSE, "login req"),
    "success with errors": (response(200, b'{"errors": ["a"]}'), NONSENSE, '{"errors": ["a"]}'),
    "success with a kind that is none": (response(200, error(None)), NONSENSE, "null"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_neither(name: str) -> None:
    answer, kind, words = OTHERS[name]
    for read in (granted_or_busy, released):
        with pytest.raises(NetError) as caught:
            read(answer)
        assert (caught.value.kind, words in caught.value.message) == (kind, True), caught.value.message
        assert caught.value.message.startswith("answers ")
        assert caught.value.remedy
        assert "secret" not in str(caught.value)


def test_the_wish_to_be_left_alone_comes_along() -> None:
    for status in (400, 503):
        with pytest.raises(NetError) as caught:
            granted_or_busy(response(status, b"", {"retry-after": "90"}))
        assert caught.value.retry_after_secs == 90.0


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "identity.group"),
        (401, "token"),
        (403, "client certificate"),
        (404, "base_url"),
        (413, "the agent retries"),
    ],
)
def test_remedies(status: int, words: str) -> None:
    with pytest.raises(TidegateError) as caught:
        granted_or_busy(response(status))
    assert words in caught.value.remedy


BODIES = st.binary(max_size=80) | st.sampled_from(
    [LOGIN, b"", b"ok", b"obtained reboot lease", error("lock_held"), error("x"), b"{}"]
)


@given(st.integers(100, 999), BODIES, st.sampled_from([{}, JSON, PLAIN, HTML, ELSEWHERE]))
def test_only_a_success_is_a_yes_and_only_an_answer_that_decides_is_a_no(
    status: int, body: bytes, headers: dict[str, str]
) -> None:
    answer = response(status, body, headers)
    meaning = meaning_of(answer)
    assert meaning != "granted" or (status == 200 and body.rstrip(b"\r\n") in {b"", b"obtained reboot lease"})
    assert meaning not in NOT_TAKEN or status < 500 or status == 511


def meaning_of(answer: HttpResponse) -> str:
    try:
        return "granted" if granted_or_busy(answer) == LockGranted() else "busy"
    except TidegateError as failure:
        return failure.kind
