"""Parsing of FleetLock requests, without HTTP."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.bad_requests import Bad, all_bad
from tidegate.coordinator.model import Call, Denied
from tidegate.coordinator.web.requests import MAX_UPDATE_PARAMS_BYTES, denied_headers, read_call
from tidegate.fleetlock.protocol import ClientParams, ReleaseTag, UpdateParams, Verb

BAD_BODIES = [bad for bad in all_bad() if bad.kind == "invalid_request"]
BOOT_ID = "0123456789abcdef0123456789abcdef"
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)


def read(body: bytes) -> Call | Denied:
    return read_call(Verb.PRE_REBOOT, body, "192.0.2.1")


def update_of(value: object) -> UpdateParams | None:
    body = json.dumps({"client_params": {"id": "a", "group": "default"}, "update_params": value}).encode()
    call = read(body)
    assert isinstance(call, Call)
    return call.update


def test_there_are_enough_of_them() -> None:
    bad = list(all_bad())
    assert len(bad) >= 200
    assert len({one.name for one in bad}) == len(bad)


@pytest.mark.parametrize("bad", BAD_BODIES, ids=lambda bad: ascii(bad.name))
def test_what_is_malformed_is_refused_with_a_reason(bad: Bad) -> None:
    answer = read(bad.body)
    assert isinstance(answer, Denied)
    assert answer.kind.value == bad.kind
    assert answer.value.isprintable()
    assert len(answer.value) < 200


def test_a_call_is_what_was_said() -> None:
    body = b' {"client_params" : {"group":"w.1-A","id":"Host \xc3\xb6"}} \n'
    assert read(body) == Call(Verb.PRE_REBOOT, ClientParams("Host \u00f6", "w.1-A"), "192.0.2.1")


@pytest.mark.parametrize("size", [1, 32, 255, 256])
def test_ids_up_to_256_characters_are_taken(size: int) -> None:
    call = read(json.dumps({"client_params": {"id": "\u00fc" * size, "group": "default"}}).encode())
    assert isinstance(call, Call)
    assert len(call.client.id) == size


def test_unknown_keys_are_passed_over_everywhere() -> None:
    document = {"v": 2, "client_params": {"id": "a", "group": "g", "more": [1, {"x": None}]}, "other": {"id": 1}}
    call = read(json.dumps(document).encode())
    assert isinstance(call, Call)
    assert call.client == ClientParams("a", "g")


def test_the_extension_is_read() -> None:
    update = {
        "v": 1,
        "agent": "tidegate/1.2",
        "boot_id": BOOT_ID,
        "seq": 17,
        "current": {"version": "42.1", "digest": "sha256:1"},
        "target": {"version": "42.2", "digest": "sha256:2"},
        "health": {"state": "healthy", "checks": [{"name": "x", "ok": True}]},
    }
    assert update_of(update) == UpdateParams(
        "tidegate/1.2", BOOT_ID, ReleaseTag("42.1", "sha256:1"), ReleaseTag("42.2", "sha256:2")
    )


@pytest.mark.parametrize("boot_id", [BOOT_ID.upper(), "01234567-89ab-cdef-0123-456789abcdef"])
def test_a_boot_id_is_one_however_it_is_written(boot_id: str) -> None:
    assert update_of({"boot_id": boot_id}) == UpdateParams(boot_id=BOOT_ID)


@pytest.mark.parametrize(
    "value",
    [
        *(None, 1, "x", [], {}, {"v": 1}, {"boot_id": 7}, {"boot_id": "xyz"}, {"boot_id": BOOT_ID + "0"}),
        *({"agent": ""}, {"agent": "x" * 129}, {"agent": "a\nb"}, {"agent": "\ud800"}, {"agent": {"x": 1}}),
        *({"target": "42"}, {"target": {"version": "42"}}, {"target": {"version": 42, "digest": "x"}}),
        {"target": {"version": "x" * 257, "digest": "x"}},
        {"current": {"version": "1", "digest": "\x1b"}},
        {"agent": "tidegate/1", "padding": "x" * MAX_UPDATE_PARAMS_BYTES},
    ],
)
def test_an_extension_that_cannot_be_used_leaves_the_lock_alone(value: object) -> None:
    assert update_of(value) is None


def test_a_bad_part_of_the_extension_leaves_the_others() -> None:
    update = update_of({"agent": 7, "boot_id": BOOT_ID, "target": {"version": "1"}})
    assert update == UpdateParams(boot_id=BOOT_ID)


def test_a_key_twice_in_the_extension_leaves_it_out() -> None:
    body = b'{"client_params":{"id":"a","group":"g"},"update_params":{"agent":"x","agent":"y"}}'
    call = read(body)
    assert isinstance(call, Call)
    assert call.update is None


@pytest.mark.parametrize("bad", [bad for bad in all_bad() if bad.kind == "missing_header"], ids=lambda bad: bad.name)
def test_headers_are_exact(bad: Bad) -> None:
    headers = [(name.encode(), value.encode()) for name, value in bad.headers]
    denied = denied_headers(headers)
    assert denied is not None
    assert denied.kind.value == "missing_header"


@pytest.mark.parametrize(
    "headers",
    [
        [(b"fleet-lock-protocol", b"true")],
        [(b"fleet-lock-protocol", b"true"), (b"fleet-lock-protocol", b"false")],
        [(b"host", b"x"), (b"fleet-lock-protocol", b" true\t")],
    ],
)
def test_the_first_header_counts(headers: list[tuple[bytes, bytes]]) -> None:
    assert denied_headers(headers) is None


@given(st.binary(max_size=300))
@settings(max_examples=100)
def test_no_bytes_raise(body: bytes) -> None:
    assert isinstance(read(body), (Call, Denied))


@given(JSON_VALUES, JSON_VALUES, JSON_VALUES)
@settings(max_examples=50)
def test_no_json_raises_and_only_strings_are_taken(client_id: object, group: object, update: object) -> None:
    document = {"client_params": {"id": client_id, "group": group}, "update_params": update}
    answer = read(json.dumps(document).encode())
    if isinstance(answer, Call):
        assert (answer.client.id, answer.client.group) == (client_id, group)
