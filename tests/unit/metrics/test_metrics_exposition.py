"""From a snapshot to metrics: what is said, what is left out, and that nothing in a snapshot makes them many."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from tests.fakes import agent_walks as walks
from tests.fakes.builders import Walk, at
from tests.fakes.clock import START
from tests.fakes.samples import Samples
from tests.fakes.snapshots import EVERYTHING, NOON, REST, STAGED, Document, attempt
from tidegate import __version__
from tidegate.fleetlock.account import FLEET_LOCK
from tidegate.gates.registry import strategies
from tidegate.metrics.exposition import exposition, text_of
from tidegate.metrics.progress import GATES, STATES
from tidegate.metrics.reading import Reading, read
from tidegate.metrics.results import MAX_CHECKS
from tidegate.metrics.serving import MAX_TEXT_BYTES
from tidegate.report.snapshot import snapshot
from tidegate.system.boot import start_ticks

HOUR = 3600.0
PACKAGE = Path(__file__).resolve().parents[3] / "agent/tidegate"
MANUAL = PACKAGE.parents[1] / "contrib/man/tidegate-metrics.1.md"


def told(document: Document, **changes: object) -> Samples:
    return Samples(text_of(Reading({**document, **changes}, live=True)))


# --------------------------------------------------------------------------- the agent and its snapshot


def test_without_a_snapshot_there_is_no_agent_and_nothing_is_said_of_the_host(tmp_path: Path) -> None:
    samples = Samples(exposition(tmp_path / "status.json"))
    assert set(samples.by_name) == {"tidegate_build_info", "tidegate_agent_up", "tidegate_snapshot_readable"}
    assert (samples["tidegate_agent_up"], samples["tidegate_snapshot_readable"]) == (0, 1)
    assert samples.value("tidegate_build_info", version=__version__) == 1


@pytest.mark.parametrize("content", ["", "{", "[]", "7", '"a"', "\x00", "[" * 100_000])
def test_a_snapshot_that_cannot_be_read_is_told_from_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "status.json"
    path.write_text(content)
    samples = Samples(exposition(path))
    assert (samples["tidegate_agent_up"], samples["tidegate_snapshot_readable"]) == (0, 0)


def test_an_agent_is_up_while_the_process_that_wrote_the_snapshot_runs(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    own = {"pid": os.getpid(), "start_ticks": start_ticks(os.getpid())}

    def up(writer: object) -> bool:
        path.write_text(json.dumps({**REST, "writer": writer}))
        return Samples(exposition(path))["tidegate_agent_up"] == 1

    assert up(own)
    assert not up({**own, "start_ticks": 1}), "the pid was given out again"
    assert not up({**own, "pid": 2**31 - 1})
    assert not up({**own, "pid": "../self"})
    assert not up({"pid": 2**31 - 1, "start_ticks": None}), "no such process, and no time, are not the same"
    assert not up(None)


# --------------------------------------------------------------------------- what is said


def test_a_host_at_rest_claims_nothing() -> None:
    samples = told(REST)
    assert samples["tidegate_agent_up"] == 1
    assert samples.ones("tidegate_state", "state") == ["steady"]
    assert samples["tidegate_state_since_timestamp_seconds"] == NOON - HOUR
    assert samples["tidegate_snapshot_timestamp_seconds"] == NOON
    for name in (
        "update_available", "update_pending", "dead_end", "config_stale", "rollback_due", "deferred_releases",
        "failed_attempts_since_success",
    ):  # fmt: skip
        assert samples[f"tidegate_{name}"] == 0, name
    for name in (
        "update_pending_since", "lock_held_since", "last_success", "last_attempt", "last_check", "next_check",
        "next_opening", "rollback_due_since", "health_watched_until",
    ):  # fmt: skip
        assert f"tidegate_{name}_timestamp_seconds" not in samples, name
    assert samples.ones("tidegate_lock_state", "state") == ["none"]
    for name, label in (
        ("gate_blocked", "gate"), ("last_attempt_outcome", "outcome"), ("health_verdict", "verdict"),
        ("denied_releases", "cause"), ("failures_in_a_row", "kind"),
    ):  # fmt: skip
        assert samples.ones(f"tidegate_{name}", label) == [], name
    assert samples["tidegate_updates_enabled"] == 1


def test_a_release_that_waits_says_since_when_and_for_which_gate() -> None:
    samples = told(STAGED)
    assert (samples["tidegate_update_available"], samples["tidegate_update_pending"]) == (1, 1)
    assert samples["tidegate_update_pending_since_timestamp_seconds"] == NOON - 4 * HOUR
    assert samples.ones("tidegate_gate_blocked", "gate") == ["periodic"]
    assert samples.by("tidegate_gate_blocked_since_timestamp_seconds", "gate") == {"periodic": NOON - 3 * HOUR}
    assert samples["tidegate_next_opening_timestamp_seconds"] == NOON + 10 * HOUR
    releases = samples.by_name["tidegate_release_info"]
    assert {(dict(series)["deployment"], dict(series)["version"]) for series in releases} == {
        ("booted", "1"),
        ("staged", "2"),
        ("target", "2"),
    }


def test_everything_there_is_to_say_is_said() -> None:
    samples = told(EVERYTHING)
    assert samples.ones("tidegate_lock_state", "state") == ["held"]
    assert samples["tidegate_lock_held_since_timestamp_seconds"] == NOON - HOUR / 2
    assert samples["tidegate_dead_end"] == samples["tidegate_config_stale"] == samples["tidegate_rollback_due"] == 1
    assert samples["tidegate_deferred_releases"] == samples["tidegate_passed_over_releases"] == 1
    assert (samples["tidegate_staging_progress_ratio"], samples["tidegate_staging_transferred_bytes"]) == (0.25, 1000)
    assert samples["tidegate_rollback_due_since_timestamp_seconds"] == NOON - 60
    assert samples.value("tidegate_failures_in_a_row", kind="discovery.unreachable") == 3
    assert samples.value("tidegate_failing_since_timestamp_seconds", kind="discovery.unreachable") == NOON - 600
    assert samples.ones("tidegate_health_verdict", "verdict") == ["watching"]
    assert samples["tidegate_health_watched_until_timestamp_seconds"] == NOON + 180
    failed = samples.by_name["tidegate_health_check_failed"]
    assert {tuple(sorted(dict(labels).values())): value for labels, value in failed.items()} == {
        ("boot-complete", "required"): 0,
        ("advisory", "web"): 1,
        ("db", "required"): 0,
    }
    denied = {"fell_back": 0, "unhealthy": 2, "person": 0, "other": 1}
    assert samples.by("tidegate_denied_releases", "cause") == denied
    assert samples["tidegate_rollout_wariness_ratio"] == 0.5
    labels = {"id": "ab" * 16, "group": "workers", "stream": "stable", "basearch": "x86_64", "platform": "qemu"}
    assert samples.value("tidegate_host_info", **labels) == 1
    assert samples.value("tidegate_agent_info", version="0.1.0", engine="ostree") == 1


def test_attempts_are_counted_by_purpose_and_outcome() -> None:
    samples = told(EVERYTHING)
    assert samples.value("tidegate_history_attempts", purpose="update", outcome="fell_back") == 1
    assert samples.value("tidegate_history_attempts", purpose="update", outcome="applied") == 1
    assert samples.value("tidegate_history_attempts", purpose="manual", outcome="rejected") == 1
    assert sum(samples.by_name["tidegate_history_attempts"].values()) == 4
    assert samples.ones("tidegate_last_attempt_outcome", "outcome") == ["rejected"]


@pytest.mark.parametrize(
    ("outcomes", "since"),
    [
        ([], 0),
        (["applied"], 0),
        (["fell_back", "applied"], 0),
        (["applied", "fell_back", "not_attempted"], 2),
        (["fell_back", "fell_back"], 2),
    ],
)
def test_failures_count_from_the_last_success(outcomes: list[str], since: int) -> None:
    samples = told(REST, history=[attempt(outcome) for outcome in outcomes])
    assert samples["tidegate_failed_attempts_since_success"] == since
    assert ("tidegate_last_success_timestamp_seconds" in samples) == ("applied" in outcomes)


def test_a_rollback_that_succeeded_is_no_success() -> None:
    applied, back = "2026-03-01T12:00:00Z", "2026-03-02T10:00:00Z"
    past = [attempt("applied", ended=applied), attempt("rejected"), attempt("applied", "rollback", ended=back)]
    samples = told(REST, history=past)
    assert samples["tidegate_last_success_timestamp_seconds"] == NOON - 24 * HOUR
    assert samples["tidegate_last_attempt_timestamp_seconds"] == NOON - 2 * HOUR
    assert samples["tidegate_failed_attempts_since_success"] == 1


def test_updates_are_disabled_where_the_agent_says_so_and_not_where_a_gate_holds() -> None:
    assert told(REST, state="disabled", updates_enabled=False)["tidegate_updates_enabled"] == 0
    assert told(STAGED, blocked_by=["version_policy", "updates"])["tidegate_updates_enabled"] == 1


def test_an_agent_that_does_not_say_whether_updates_are_enabled_has_no_such_metric() -> None:
    assert "tidegate_updates_enabled" not in told(REST, updates_enabled=None)


# --------------------------------------------------------------------------- the labels are closed sets


def test_words_that_are_not_known_are_one_series() -> None:
    lock = {"state": "held twice", "since": "soon"}
    samples = told(EVERYTHING, state="dreaming", blocked_by=["moon", "tide", "periodic", 7, None], lock=lock)
    assert samples.ones("tidegate_state", "state") == ["other"]
    assert samples.ones("tidegate_gate_blocked", "gate") == ["periodic", "other"]
    assert samples.ones("tidegate_lock_state", "state") == ["other"]
    assert "tidegate_lock_held_since_timestamp_seconds" not in samples


def test_of_two_gates_that_are_not_known_the_one_that_began_first_counts() -> None:
    began = {"moon": "2026-03-02T09:00:00Z", "tide": "2026-03-02T08:00:00Z", "sun": "2026-03-02T10:00:00Z"}
    gates = [{"gate": gate, "verdict": "wait", "since": since} for gate, since in began.items()]
    samples = told(STAGED, gates=gates)
    assert samples.by("tidegate_gate_blocked_since_timestamp_seconds", "gate") == {"other": NOON - 4 * HOUR}


def test_the_worst_snapshot_stays_a_page_that_the_kernel_takes_whole() -> None:
    long = "é" * 10_000
    checks = [{"check": f"{n}{long}", "weight": "required", "state": "failed"} for n in range(1000)]
    many = [attempt(f"outcome-{n}", f"purpose-{n}") for n in range(1000)]
    gates = [{"gate": f"gate-{n}", "verdict": "wait", "since": "2026-03-02T09:00:00Z"} for n in range(1000)]
    reading = Reading(
        {
            **EVERYTHING,
            "booted": {"version": long},
            "staged": {"version": long},
            "rollback": {"version": long},
            "target": {"version": long},
            "host": dict.fromkeys(("group", "stream", "basearch", "platform", "node_uuid"), long),
            "engine": long,
            "health": {"verdict": long, "checks": checks},
            "history": many,
            "gates": gates,
            "blocked_by": [row["gate"] for row in gates],
            "denied": [{"cause": f"cause-{n}"} for n in range(1000)],
            "last_error": {"kind": long, "count": 10**400},
        }
    )
    text = text_of(reading)
    samples = Samples(text)
    assert len(samples.by_name["tidegate_health_check_failed"]) == MAX_CHECKS + 1
    assert sum(len(series) for series in samples.by_name.values()) < 250
    assert len(text) < MAX_TEXT_BYTES


NASTY: tuple[object, ...] = (None, -1, True, "9999-99-99", 10**400, [1, "x", None], {"a": 1})


def _with_nasty_inside(value: object, nasty: object) -> Iterator[object]:
    """``value``, an object or an array of objects, with ``nasty`` at each key of the (last) object."""
    if isinstance(value, list) and value:
        yield from ([inner] for inner in _with_nasty_inside(cast("list[object]", value)[-1], nasty))
    if isinstance(value, dict):
        table = cast(Document, value)
        yield from ({**table, key: nasty} for key in table)


@pytest.mark.parametrize("nasty", NASTY, ids=lambda value: type(value).__name__)
def test_no_value_anywhere_in_a_snapshot_keeps_the_rest_from_being_told(nasty: object) -> None:
    for key, value in EVERYTHING.items():
        for odd in (nasty, *_with_nasty_inside(value, nasty)):
            assert b"\ntidegate_agent_up 1.0\n" in text_of(Reading({**EVERYTHING, key: odd}, live=True))


def test_versions_cannot_break_out_of_their_label() -> None:
    samples = told(REST, booted={"version": 'a"} 1\ntidegate_agent_up 7\n\x1b[31m\\'})
    assert samples["tidegate_agent_up"] == 1
    (labels,) = samples.by_name["tidegate_release_info"]
    assert dict(labels)["version"] == 'a"} 1 tidegate_agent_up 7 [31m\\'


# --------------------------------------------------------------------------- in step with the agent and the manual


@pytest.mark.parametrize("walk", walks.EVERY, ids=[made.__name__ for made in walks.EVERY])
def test_every_situation_of_an_agent_has_a_state_and_gates_that_are_known(walk: Callable[[], Walk]) -> None:
    document = snapshot(walk().state, at(0), START, {})
    samples = Samples(text_of(Reading(document)))
    assert samples.ones("tidegate_state", "state") == [document["state"]]
    told_by_agent = {gate for gate in document["blocked_by"] if gate != "window"}  # type: ignore[attr-defined]  # JSON
    assert set(samples.ones("tidegate_gate_blocked", "gate")) - {"other"} == told_by_agent


def _names_written_as_text() -> set[str]:
    """The first argument of each ``Wait("...")`` and ``Allow("...")``: names that no specification has checked."""
    texts = (file.read_text(encoding="utf-8") for file in PACKAGE.rglob("*.py"))
    return {name for text in texts for name in re.findall(r'\b(?:Wait|Allow)\(\s*"([^"]+)"', text)}


def test_every_gate_in_the_code_has_its_label() -> None:
    assert _names_written_as_text() == set()
    assert {"updates", "version_policy", "workload", "sessions", "inhibitors"} <= set(GATES)
    assert len(set(GATES)) == len(GATES)
    assert {*strategies(), FLEET_LOCK} <= set(GATES)


def test_the_manual_has_every_metric_and_no_other() -> None:
    page = MANUAL.read_text(encoding="utf-8")
    listed = {re.sub(r"\{.*", "", name) for name in re.findall(r"^\| `(tidegate_[^`]+)` \|", page, re.M)}
    assert listed == set(told(EVERYTHING).docs)
    for word in (*STATES, *GATES):
        assert f"`{word}`" in page, word


def test_reading_a_snapshot_gives_what_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    path.write_text(json.dumps(STAGED))
    assert read(path).document == STAGED
