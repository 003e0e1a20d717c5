"""Messages of the lock job: round trips, and rejection of anything else."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.fleetlock.account import LockAccount, LockBusy, LockGranted, LockReleased
from tidegate.fleetlock.protocol import ReleaseTag, UpdateParams, Verb
from tidegate.fleetlock.wire import PROBE_SECS, LockEvent, LockRequest, ProbeEvent, ProbeRequest, UnlockEvent
from tidegate.net.wire import Json, WireError, decode_event, decode_request, encode_event, encode_request

TEXT = st.text(max_size=30)
MAYBE = TEXT | st.none()
SECS = st.floats(0, 1e6)
TAGS = st.builds(ReleaseTag, TEXT, TEXT) | st.none()
ACCOUNTS = st.builds(LockAccount, TEXT, TEXT, TEXT, SECS, MAYBE, MAYBE, MAYBE, MAYBE)
UPDATES = st.builds(UpdateParams, MAYBE, MAYBE, TAGS, TAGS, st.integers(0) | st.none()) | st.none()
PROBES = st.builds(ProbeEvent, st.integers(100, 999), st.booleans())
LOCKS = st.builds(LockEvent, st.builds(LockGranted) | st.builds(LockBusy, TEXT, SECS | st.none()))
UNLOCKS = st.builds(UnlockEvent, st.builds(LockReleased, TEXT))

ACCOUNT = asdict(LockAccount("https://locks/", "workers", "4aed", 30.0))
LINE: dict[str, object] = {"verb": "pre-reboot", "account": ACCOUNT, "update": None}
UPDATE = asdict(UpdateParams("tidegate/1", None, ReleaseTag("1", "c1"), None))


def as_json(fields: dict[str, object]) -> Json:
    """The fields as they arrive."""
    return cast(Json, json.loads(json.dumps(fields)))


@given(st.builds(LockRequest, st.sampled_from(Verb), ACCOUNTS, UPDATES))
def test_requests_come_back_as_they_were(request: LockRequest) -> None:
    line = encode_request(request)
    assert line.count(b"\n") == 1
    job, fields = decode_request(line)
    assert (job, LockRequest.read(fields)) == (LockRequest.job, request)
    assert request.timeout_secs == request.account.timeout_secs


@given(ACCOUNTS)
def test_probes_come_back_as_they_were_and_are_short(account: LockAccount) -> None:
    job, fields = decode_request(encode_request(ProbeRequest(account)))
    assert (job, ProbeRequest.read(fields)) == (ProbeRequest.job, ProbeRequest(account))
    assert ProbeRequest(account).timeout_secs <= min(PROBE_SECS, account.timeout_secs)


def test_a_request_of_an_agent_that_is_older_than_its_worker_is_read() -> None:
    older = {key: value for key, value in UPDATE.items() if key != "uptime_secs"}
    assert LockRequest.read(as_json(LINE | {"update": older})) == LockRequest.read(as_json(LINE | {"update": UPDATE}))


@given(LOCKS | UNLOCKS | PROBES)
def test_answers_come_back_as_they_were(event: LockEvent | UnlockEvent | ProbeEvent) -> None:
    line = encode_event(event)
    assert line.count(b"\n") == 1
    assert decode_event(line, type(event)) == event


def test_this_is_a_request() -> None:
    assert LockRequest.read(as_json(LINE | {"update": UPDATE})) == LockRequest(
        Verb.PRE_REBOOT,
        LockAccount("https://locks/", "workers", "4aed", 30.0),
        UpdateParams("tidegate/1", None, ReleaseTag("1", "c1"), None),
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"verb": "reboot"},
        {"verb": None},
        {"account": None},
        {"account": ACCOUNT | {"timeout_secs": "30"}},
        {"account": ACCOUNT | {"token_file": 1}},
        {"account": {key: value for key, value in ACCOUNT.items() if key != "ca_file"}},
        {"update": []},
        {"update": UPDATE | {"boot_id": 1}},
        {"update": UPDATE | {"uptime_secs": "1"}},
        {"update": UPDATE | {"current": {"version": "1"}}},
        {"update": UPDATE | {"target": "1"}},
    ],
)
def test_anything_else_is_no_request(wrong: dict[str, object]) -> None:
    with pytest.raises(WireError):
        LockRequest.read(as_json(LINE | wrong))


@pytest.mark.parametrize(
    "line",
    [
        {"kind": "busy", "reason": "full"},
        {"kind": "busy", "reason": None, "retry_after_secs": None},
        {"kind": "busy", "reason": "full", "retry_after_secs": "5"},
        {"kind": "released"},
        {"kind": "released", "detail": 1},
        {"kind": "Granted"},
    ],
)
def test_anything_else_is_no_answer(line: dict[str, object]) -> None:
    for answer in (LockEvent, UnlockEvent, ProbeEvent):
        with pytest.raises(WireError):
            decode_event(json.dumps(line).encode(), answer)
