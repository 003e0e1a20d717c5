"""The document that outlives processes, boots and versions of the agent."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.builders import at, attempt, denial, intent, lock_record, plain
from tidegate.clock import rfc3339
from tidegate.fleetlock.account import LockAccount, LockRelease
from tidegate.jsonread import ShapeError
from tidegate.records.codec import decode, encode, encode_attempt
from tidegate.records.model import (
    HISTORY_LENGTH,
    Attempt,
    Denial,
    Ending,
    Intent,
    LockRecord,
    LockState,
    Outcome,
    RebootRequest,
    Records,
    RollbackDue,
    Verification,
    Waiting,
)
from tidegate.release import Release
from tidegate.system.boot import BootInstance

GOLDEN = """{
 "schema": 1,
 "intent": {
  "id": "20260302T100000Z-11111111",
  "boot": {"boot_id": "11111111-0000-4000-8000-000000000000", "soft_reboots": 0},
  "from": {"version": "1", "payload": "aaaa"},
  "to": {"version": "2", "payload": "bbbb"},
  "purpose": "update",
  "reason": "automatic",
  "written_at": "2026-03-02T10:00:00Z",
  "had_entry": false,
  "requested": {"at": "2026-03-02T10:00:05Z", "boot_secs": 105.25}
 },
 "denied": [
  {
   "release": {"version": "0", "payload": "0000"},
   "cause": "fell_back",
   "evidence": "1 booted instead of 0",
   "at": "2026-02-01T00:00:00Z"
  }
 ],
 "history": [
  {
   "id": "20260201T000000Z-00000000",
   "from": {"version": "1", "payload": "aaaa"},
   "to": {"version": "0", "payload": "0000"},
   "purpose": "manual",
   "reason": "try it (uid 0)",
   "started_at": "2026-02-01T00:00:00Z",
   "ended_at": "2026-02-01T00:05:00Z",
   "outcome": "fell_back",
   "detail": "1 booted instead of 0"
  }
 ]
}"""
"""Schema 1 as it was frozen. This text never changes: every later agent has to read it, and to write all of it."""


LATER = """{
 "lock": {
  "server": "https://lock.example/",
  "group": "web",
  "id": "0123456789abcdef0123456789abcdef",
  "timeout_secs": 30.0,
  "ca_file": "/etc/ssl/fleet.pem",
  "client_cert_file": null,
  "client_key_file": null,
  "token_file": "/etc/tidegate/token",
  "boot": {"boot_id": "11111111-0000-4000-8000-000000000000", "soft_reboots": 1, "init_ticks": 7},
  "state": "held",
  "since": "2026-03-02T09:59:58Z",
  "release_when": "after-boot",
  "tells": true
 },
 "waiting": {
  "booted": "aaaa",
  "since": "2026-03-01T00:00:00Z",
  "gates": {"fleet_lock": "2026-03-01T00:05:00Z", "periodic": "2026-03-01T00:00:00Z"}
 }
}"""
"""What came to schema 1 with the lock, as optional parts; it never changes either."""


WATCHED = """{
 "verification": {
  "boot": {"boot_id": "11111111-0000-4000-8000-000000000000", "soft_reboots": 1, "init_ticks": 7},
  "began_secs": 31.5,
  "boots": 2,
  "bad": "web: no answer"
 },
 "rollback": {
  "from": {"version": "2", "payload": "bbbb"},
  "to": {"version": "1", "payload": "aaaa"},
  "reason": "2 is not well",
  "since": "2026-03-02T10:05:00Z",
  "failed_units": ["old.service"]
 },
 "settled": {"version": "1", "payload": "aaaa"},
 "first_seen": {"cccc": "2026-03-02T00:00:00Z"}
}"""
"""What came with the watch over a boot and with rollbacks, as optional parts; it never changes either."""

WATCHED_INTENT = {"failed_units": ["old.service"], "rollback_floor": "1.5"}
WATCHED_DENIAL = {"boot_id": "11111111-0000-4000-8000-000000000000", "journal_cursor": "s=1;i=2"}


def golden() -> dict[str, object]:
    """All that an agent of schema 1 may have written."""
    whole: dict[str, object] = json.loads(GOLDEN) | json.loads(LATER) | json.loads(WATCHED)
    cast(dict[str, object], whole["intent"]).update(WATCHED_INTENT)
    cast(list[dict[str, object]], whole["denied"])[0].update(WATCHED_DENIAL)
    return whole


def keeps(written: object, given: object) -> bool:
    """Whether ``written`` has all that ``given`` has; objects may have gained optional fields."""
    return _merged(written, given) == written


def _merged(written: object, given: object) -> object:
    """``given`` over ``written``, at every level."""
    if isinstance(written, dict) and isinstance(given, dict):
        old, new = cast(dict[str, object], written), cast(dict[str, object], given)
        return old | {key: _merged(old.get(key), value) for key, value in new.items()}
    if isinstance(written, list) and isinstance(given, list):
        olds, news = cast(list[object], written), cast(list[object], given)
        return [_merged(old, new) for old, new in zip(olds, news, strict=True)]
    return given


def test_what_the_first_agent_wrote_is_read_for_ever() -> None:
    began = datetime(2026, 3, 2, 10, tzinfo=UTC)
    february = datetime(2026, 2, 1, tzinfo=UTC)
    assert decode(json.loads(GOLDEN)) == Records(
        Intent(
            "20260302T100000Z-11111111",
            BootInstance("11111111-0000-4000-8000-000000000000", 0),
            Release("1", "aaaa"),
            Release("2", "bbbb"),
            "update",
            "automatic",
            began,
            had_entry=False,
            requested=RebootRequest(began + timedelta(seconds=5), 105.25),
        ),
        denied=(Denial(Release("0", "0000"), "fell_back", "1 booted instead of 0", february),),
        history=(
            Attempt(
                "20260201T000000Z-00000000",
                Release("1", "aaaa"),
                Release("0", "0000"),
                "manual",
                "try it (uid 0)",
                february,
                february + timedelta(minutes=5),
                "fell_back",
                "1 booted instead of 0",
            ),
        ),
    )


def test_a_lock_and_what_waits_are_read_for_ever() -> None:
    records = decode(golden())
    assert records.lock == LockRecord(
        LockAccount(
            "https://lock.example/",
            "web",
            "0123456789abcdef0123456789abcdef",
            30.0,
            ca_file="/etc/ssl/fleet.pem",
            token_file="/etc/tidegate/token",
        ),
        BootInstance("11111111-0000-4000-8000-000000000000", 1, 7),
        "held",
        datetime(2026, 3, 2, 9, 59, 58, tzinfo=UTC),
        "after-boot",
        tells=True,
    )
    march = datetime(2026, 3, 1, tzinfo=UTC)
    assert records.waiting == Waiting("aaaa", march, {"fleet_lock": march + timedelta(minutes=5), "periodic": march})


def test_a_watch_and_a_rollback_that_is_due_are_read_for_ever() -> None:
    records = decode(golden())
    boot = BootInstance("11111111-0000-4000-8000-000000000000", 1, 7)
    assert records.verification == Verification(boot, 31.5, 2, "web: no answer")
    began = datetime(2026, 3, 2, 10, tzinfo=UTC)
    due = RollbackDue(
        Release("2", "bbbb"), Release("1", "aaaa"), "2 is not well", began + timedelta(minutes=5), ("old.service",)
    )
    assert records.rollback == due
    assert records.settled == Release("1", "aaaa")
    assert records.first_seen == {"cccc": datetime(2026, 3, 2, tzinfo=UTC)}
    assert records.intent is not None
    assert (records.intent.failed_units, records.intent.rollback_floor) == (("old.service",), "1.5")
    assert (records.denied[0].boot_id, records.denied[0].journal_cursor) == (boot.boot_id, "s=1;i=2")


def test_schema_1_is_written_for_ever() -> None:
    assert keeps(encode(decode(golden())), golden())


def test_an_empty_document_is_empty_records() -> None:
    assert decode({}) == Records()
    assert encode(Records()) == {
        "schema": 1,
        "intent": None,
        "verification": None,
        "rollback": None,
        "lock": None,
        "waiting": None,
        "settled": None,
        "first_seen": {},
        "attempt": None,
        "denied": [],
        "history": [],
    }


# --------------------------------------------------------------------------- what a newer agent wrote


def inside(document: dict[str, object], path: tuple[str | int, ...]) -> dict[str, object]:
    """The object at ``path``."""
    place: object = document
    for part in path:
        place = place[part]  # type: ignore[index]  # the path was written for this document
    assert isinstance(place, dict)
    return cast(dict[str, object], place)


def test_what_a_newer_agent_added_to_an_attempt_goes_with_it_into_the_history() -> None:
    document = golden()
    inside(document, ("intent",))["rollout"] = "wave-3"
    inside(document, ("intent", "to"))["age_index"] = 7
    inside(document, ("intent", "boot"))["kexec"] = True
    closed = encode(decode(document).closed(Ending(Outcome.APPLIED, "verified"), at(0)))
    attempt = inside(closed, ("history", 1))
    assert (attempt["rollout"], attempt["to"]) == ("wave-3", {"version": "2", "payload": "bbbb", "age_index": 7})
    assert "boot" not in attempt, "an attempt has no boot, and half of one would be nonsense"


def test_a_higher_schema_number_is_read_and_kept() -> None:
    document = golden() | {"schema": 99}
    records = decode(document)
    assert records == decode(golden())
    assert encode(replace(records, intent=None))["schema"] == 99


def test_words_that_this_agent_does_not_have_are_kept() -> None:
    document = golden()
    inside(document, ("intent",))["purpose"] = "firmware"
    inside(document, ("history", 0))["outcome"] = "half_applied"
    inside(document, ("denied", 0))["cause"] = "recalled"
    inside(document, ("lock",))["state"] = "lent_to_a_friend"
    inside(document, ("lock",))["release_when"] = "after-rollout"
    inside(document, ("waiting", "gates"))["tide"] = "2026-03-01T00:00:00Z"
    records = decode(copy.deepcopy(document))
    assert keeps(encode(records), document)
    assert encode(records.closed(Ending(Outcome.APPLIED, ""), at(0)))["history"][1]["purpose"] == "firmware"  # type: ignore[index]  # encoded above


# --------------------------------------------------------------------------- what is missing or wrong

REQUIRED = [
    ("intent", "id"),
    ("intent", "boot"),
    ("intent", "boot", "boot_id"),
    ("intent", "from"),
    ("intent", "to"),
    ("intent", "to", "payload"),
    ("intent", "to", "version"),
    ("intent", "purpose"),
    ("intent", "reason"),
    ("intent", "written_at"),
    ("intent", "requested", "at"),
    ("intent", "requested", "boot_secs"),
    ("lock", "server"),
    ("lock", "group"),
    ("lock", "id"),
    ("lock", "timeout_secs"),
    ("lock", "boot"),
    ("lock", "state"),
    ("lock", "since"),
    ("waiting", "booted"),
    ("waiting", "since"),
    ("waiting", "gates"),
    ("verification", "boot"),
    ("verification", "began_secs"),
    ("rollback", "from"),
    ("rollback", "to"),
    ("rollback", "reason"),
    ("rollback", "since"),
    ("denied", 0, "release"),
    ("denied", 0, "cause"),
    ("denied", 0, "evidence"),
    ("denied", 0, "at"),
    ("history", 0, "id"),
    ("history", 0, "outcome"),
    ("history", 0, "detail"),
    ("history", 0, "started_at"),
    ("history", 0, "ended_at"),
]


@pytest.mark.parametrize("path", REQUIRED, ids=str)
def test_a_required_field_that_is_missing_is_named(path: tuple[str | int, ...]) -> None:
    document = golden()
    del inside(document, path[:-1])[str(path[-1])]
    where = "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path[:-1])
    with pytest.raises(ShapeError) as caught:
        decode(document)
    assert str(caught.value) == f"{where}: the key {path[-1]!r} is missing"


@pytest.mark.parametrize("key", ["had_entry", "requested", "failed_units", "rollback_floor"])
def test_an_optional_field_may_be_missing(key: str) -> None:
    document = golden()
    del inside(document, ("intent",))[key]
    assert decode(document).intent is not None


def test_a_lock_without_its_optional_fields_is_given_back_after_health_and_tells_nothing() -> None:
    document = golden()
    needed = {"server", "group", "id", "timeout_secs", "boot", "state", "since"}
    lock = inside(document, ("lock",))
    document["lock"] = {key: value for key, value in lock.items() if key in needed}
    record = decode(document).lock
    assert record is not None
    assert (record.release, record.tells, record.account.token_file) == (LockRelease.AFTER_HEALTH, False, None)


def test_a_lock_that_a_newer_agent_took_is_given_back_with_all_that_it_added() -> None:
    document = golden()
    inside(document, ("lock",))["rollout"] = {"wave": 3}
    inside(document, ("lock", "boot"))["kexec"] = True
    owed = encode(decode(copy.deepcopy(document)).lock_is(LockState.RELEASE_OWED))
    inside(document, ("lock",))["state"] = "release_owed"
    assert keeps(owed, document)


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ((), [], r"\$: expected an object, found an array"),
        (("intent",), 1, r"\$.intent: expected an object, found a number"),
        (("denied",), {}, r"\$.denied: expected an array, found an object"),
        (("history", 0), None, r"\$.history\[0\]: expected an object, found null"),
        (("intent", "id"), 3, r"\$.intent.id: expected a string, found a number"),
        (("intent", "boot", "soft_reboots"), True, "expected a whole number, found a boolean"),
        (("intent", "had_entry"), "yes", "expected a boolean, found a string"),
        (("intent", "requested", "boot_secs"), "1", "expected a finite number, found a string"),
        (("lock",), "held", r"\$.lock: expected an object, found a string"),
        (("lock", "token_file"), 1, r"\$.lock.token_file: expected a string, found a number"),
        (("lock", "timeout_secs"), "30", "expected a finite number, found a string"),
        (("lock", "tells"), "yes", "expected a boolean, found a string"),
        (("waiting", "gates"), [], r"\$.waiting.gates: expected an object, found an array"),
        (("waiting", "gates", "periodic"), 3, r"\$.waiting.gates.periodic: expected a string, found a number"),
        (("intent", "written_at"), "yesterday", r"\$.intent.written_at: "),
        (("intent", "written_at"), "2026-03-02T10:00:00", "has no offset from UTC"),
    ],
)
def test_a_field_of_the_wrong_kind_is_named(path: tuple[str | int, ...], value: object, told: str) -> None:
    document: object = golden()
    if path:
        place: object = document
        for part in path[:-1]:
            place = place[part]  # type: ignore[index]  # the path was written for this document
        place[path[-1]] = value  # type: ignore[index]  # as above
    else:
        document = value
    with pytest.raises(ShapeError, match=told):
        decode(document)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_is_none_is_refused(number: float) -> None:
    document = golden()
    inside(document, ("intent", "requested"))["boot_secs"] = number
    with pytest.raises(ShapeError):
        decode(document)


# --------------------------------------------------------------------------- rules

whole_seconds = st.datetimes(datetime(1970, 1, 1), datetime(9998, 1, 1)).map(  # noqa: DTZ001 - hypothesis wants them naive
    lambda instant: instant.replace(microsecond=0, tzinfo=UTC)
)
texts = st.text(max_size=8)
releases = st.builds(Release, texts, texts)
requests = st.builds(RebootRequest, whole_seconds, st.floats(0, 1e9))
boots = st.builds(BootInstance, texts, st.integers(0, 9), st.integers(0, 9))
intents = st.builds(
    Intent, texts, boots, releases, releases, texts, texts, whole_seconds, st.booleans(), st.none() | requests
)
files = st.none() | texts
accounts = st.builds(LockAccount, texts, texts, texts, st.floats(0, 1e6), files, files, files, files)
words = st.sampled_from(list(LockState)) | texts
times_to_release = st.sampled_from(list(LockRelease)) | st.text(min_size=1, max_size=8)
locks = st.builds(LockRecord, accounts, boots, words, whole_seconds, times_to_release, st.booleans())
waits = st.builds(Waiting, texts, whole_seconds, st.dictionaries(texts, whole_seconds, max_size=3))
denials = st.builds(Denial, releases, texts, texts, whole_seconds)
attempts = st.builds(Attempt, texts, releases, releases, texts, texts, whole_seconds, whole_seconds, texts, texts)


@settings(max_examples=60)
@given(
    st.builds(
        Records,
        st.none() | intents,
        st.none() | locks,
        st.none() | waits,
        st.lists(denials, max_size=2).map(tuple),
        st.lists(attempts, max_size=2).map(tuple),
    )
)
def test_what_is_written_is_read_again(records: Records) -> None:
    assert decode(json.loads(json.dumps(encode(records)))) == records


def test_fractions_of_a_second_and_other_zones_are_written_as_utc_seconds() -> None:
    written = encode_attempt(replace(attempt(), ended_at=datetime.fromisoformat("2026-03-02T12:00:00.9+02:00")))
    assert written["ended_at"] == "2026-03-02T10:00:00Z"
    assert rfc3339(attempt().started_at) == written["started_at"]


def test_closing_moves_the_intent_to_the_history_in_one_document() -> None:
    closed = Records(intent()).closed(Ending(Outcome.NOT_ATTEMPTED, "power cut"), at(5))
    (last,) = closed.history
    assert closed.intent is None
    assert (last.id, last.origin, last.target) == ("attempt-1", plain("1"), plain("2"))
    assert (last.started_at, last.ended_at) == (intent().written_at, at(5).wall)
    assert (last.outcome, last.detail) == ("not_attempted", "power cut")


def test_closing_leaves_the_lock_and_ends_the_waiting() -> None:
    march = datetime(2026, 3, 1, tzinfo=UTC)
    records = Records(intent(), lock_record(), Waiting("aaaa", march))
    closed = records.closed(Ending(Outcome.APPLIED, "verified"), at(0))
    assert (closed.lock, closed.waiting) == (lock_record(), None)


def test_what_is_known_of_a_lock_is_noted_where_there_is_one() -> None:
    assert Records(lock=lock_record()).lock_is(LockState.RELEASE_OWED).lock == lock_record(LockState.RELEASE_OWED)
    assert Records().lock_is(LockState.HELD) == Records()


def test_closing_without_an_intent_changes_nothing() -> None:
    records = Records(history=(attempt(),))
    assert records.closed(Ending(Outcome.APPLIED, ""), at(0)) is records


def test_the_history_is_bounded_and_loses_the_oldest() -> None:
    records = Records(history=tuple(attempt(name=str(number)) for number in range(HISTORY_LENGTH)))
    closed = records.opened(intent()).closed(Ending(Outcome.APPLIED, ""), at(0))
    assert len(closed.history) == HISTORY_LENGTH
    assert (closed.history[0].id, closed.history[-1].id) == ("1", "attempt-1")


def test_the_first_denial_of_a_release_stands() -> None:
    first = denial("2")
    records = Records().with_denied(first).with_denied(replace(first, cause="person"))
    assert records.denied == (first,)
    assert records.denial_of(first.release.payload) == first
    assert records.denial_of("another") is None


@pytest.mark.parametrize(
    ("outcomes", "count"),
    [
        ([], 0),
        ([Outcome.NOT_ATTEMPTED], 1),
        ([Outcome.NOT_ATTEMPTED, Outcome.FINALIZE_FAILED], 2),
        ([Outcome.NOT_ATTEMPTED, Outcome.APPLIED], 0),
        ([Outcome.APPLIED, Outcome.NOT_ATTEMPTED], 1),
        ([Outcome.NOT_ATTEMPTED, Outcome.FELL_BACK], 0),
        (["half_applied", Outcome.NOT_ATTEMPTED], 2),
    ],
)
@pytest.mark.parametrize("reread", [False, True], ids=["in memory", "from disk"])
def test_failures_in_a_row_count_from_the_last_verdict(outcomes: list[str], count: int, reread: bool) -> None:
    records = Records(history=tuple(attempt(outcome=outcome) for outcome in outcomes))
    if reread:
        records = decode(json.loads(json.dumps(encode(records))))
    assert records.failures_in_a_row(plain("2").payload) == count


def test_an_attempt_at_another_release_ends_the_row() -> None:
    records = Records(history=(attempt("2"), attempt("3"), attempt("2")))
    assert records.failures_in_a_row(plain("2").payload) == 1
