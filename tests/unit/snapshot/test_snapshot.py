"""The document that everybody may read: its keys, its words, its one line, and whether its writer lives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.fakes.builders import (
    ALLOW,
    BAD_CONFIG,
    BROKEN,
    WAIT,
    Walk,
    arming,
    at,
    attempt,
    confirming,
    deciding,
    denial,
    disarming,
    host,
    offers,
    requesting,
    staged,
    staging,
    steady,
    verifying,
)
from tests.fakes.clock import START
from tests.fakes.engine import payload_of
from tidegate.engines.base import Progress
from tidegate.gates.base import Wait
from tidegate.machine.events import Accepted, HealthPending, Progressed, Unhealthy
from tidegate.machine.phases import Staged
from tidegate.machine.state import Policy
from tidegate.procfs import start_ticks
from tidegate.records import Records
from tidegate.snapshot import STATUS_FILE, Publisher, public_state, snapshot, summary, target_of

WRITER: dict[str, object] = {"version": "0.1.0", "pid": 1, "start_ticks": 2}
TWO = {"version": "2", "payload": payload_of("2")}
ONE = {"version": "1", "payload": payload_of("1")}


def document(walk: Walk) -> dict[str, object]:
    return snapshot(walk.state, at(walk.secs), WRITER)


def blocked() -> Walk:
    return steady(Policy(blocked=BAD_CONFIG))


def available() -> Walk:
    return steady().wake().answer(offers("2")).fail()


def waits() -> Walk:
    return deciding().answer(WAIT)


def halfway() -> Walk:
    walk = staging()
    return walk.feed(Progressed(walk.task.id, Progress("fetching", 0.5, 2_000_000)))


def rebooting() -> Walk:
    return requesting().answer(Accepted())


def pending() -> Walk:
    return verifying().answer(HealthPending("boot-complete.target is activating"))


def paused() -> Walk:
    return verifying().answer(Unhealthy("sshd.service failed"))


def checked() -> Walk:
    return steady().wake().answer(offers())


def ended() -> Walk:
    return steady().wake().answer(offers(dead_end="the stream has ended, see the release notes"))


PHASES: dict[Callable[[], Walk], tuple[str, str]] = {
    Walk: ("starting", "starting"),
    steady: ("steady", "not checked yet"),
    checked: ("steady", "up to date"),
    ended: ("steady", "no further updates: the stream has ended, see the release notes"),
    blocked: ("failed", "does not update: 20-updates.toml:3: no such key"),
    available: ("available", "available 2"),
    staging: ("staging", "staging 2"),
    halfway: ("staging", "staging 2: 50%"),
    staged: ("staged", "staged 2"),
    waits: ("staged", "2 is staged and waits: window: the window is closed"),
    deciding: ("deciding", "deciding 2"),
    arming: ("arming", "arming 2"),
    confirming: ("confirming", "confirming 2"),
    requesting: ("requesting", "requesting 2"),
    rebooting: ("rebooting", "rebooting 2"),
    disarming: ("disarming", "disarming 2"),
    verifying: ("verifying", "verifying 2"),
    pending: ("verifying", "verifying 2: boot-complete.target is activating"),
    paused: ("paused", "paused in 2: sshd.service failed"),
}


@pytest.mark.parametrize(("walk", "words"), PHASES.items(), ids=[made.__name__ for made in PHASES])
def test_each_phase_has_its_word_and_its_line(walk: Callable[[], Walk], words: tuple[str, str]) -> None:
    state = walk().state
    assert (public_state(state), summary(state)) == words


@pytest.mark.parametrize("walk", PHASES, ids=[made.__name__ for made in PHASES])
def test_every_phase_can_be_told_in_json_with_the_same_keys(walk: Callable[[], Walk]) -> None:
    told = document(walk())
    assert list(told) == KEYS
    json.dumps(told)


KEYS = [
    "schema", "writer", "written_at", "state", "summary", "engine", "booted", "staged", "rollback", "next_boot",
    "target", "waiting_since", "blocked_by", "progress", "last_check", "next_check", "dead_end", "stale_config",
    "trouble", "denied", "last_attempt", "history",
]  # fmt: skip


def test_a_host_that_waits_is_told_whole() -> None:
    walk = Walk(Records(denied=(denial("3"),), history=(attempt(),))).answer(host(entries=("1", "0")))
    walk.wake().answer(offers("2")).answer(host(staged="2", entries=("1", "0")))
    walk.wake().answer((Wait("window", "closed", START + timedelta(hours=1), "wait"),))
    told = document(walk)
    assert told == {
        "schema": 1,
        "writer": WRITER,
        "written_at": "2026-03-02T10:05:00Z",
        "state": "staged",
        "summary": "2 is staged and waits: window: closed",
        "engine": "ostree",
        "booted": ONE,
        "staged": {**TWO, "locked": True},
        "rollback": {"version": "0", "payload": payload_of("0")},
        "next_boot": payload_of("1"),
        "target": TWO,
        "waiting_since": "2026-03-02T10:00:00Z",
        "blocked_by": [{"gate": "window", "reason": "closed", "until": "2026-03-02T11:00:00Z", "remedy": "wait"}],
        "progress": None,
        "last_check": "2026-03-02T10:00:00Z",
        "next_check": "2026-03-02T10:05:00Z",
        "dead_end": None,
        "stale_config": None,
        "trouble": None,
        "denied": [
            {
                "release": {"version": "3", "payload": payload_of("3")},
                "cause": "fell_back",
                "evidence": "1 booted instead",
                "at": "2026-03-02T10:00:00Z",
            }
        ],
        "last_attempt": told["last_attempt"],
        "history": [told["last_attempt"]],
    }
    assert told["last_attempt"] == {
        "id": "attempt-0",
        "from": ONE,
        "to": TWO,
        "purpose": "update",
        "reason": "automatic",
        "started_at": "2026-03-02T09:00:00Z",
        "ended_at": "2026-03-02T09:00:00Z",
        "outcome": "not_attempted",
        "detail": "power cut",
    }


def test_before_the_host_was_read_nothing_is_claimed_about_it() -> None:
    told = document(Walk())
    assert [told[key] for key in ("engine", "booted", "staged", "rollback", "next_boot", "target")] == [None] * 6


def test_progress_is_told_while_staging_alone() -> None:
    assert document(halfway())["progress"] == {"step": "fetching", "fraction": 0.5, "transferred_bytes": 2_000_000}
    assert document(staging())["progress"] is None
    assert document(waits())["progress"] is None


def test_trouble_and_a_stale_configuration_are_told_with_their_remedies() -> None:
    walk = steady(Policy(stale=BAD_CONFIG)).wake().fail()
    told = document(walk)
    assert told["trouble"] == {
        "kind": "engine.failed",
        "message": "the engine broke",
        "remedy": "mend it",
        "since": "2026-03-02T10:00:00Z",
        "count": 1,
    }
    assert told["stale_config"] == {
        "kind": "config.invalid",
        "message": BAD_CONFIG.message,
        "remedy": BAD_CONFIG.remedy,
    }
    assert summary(walk.state) == BROKEN.message


def test_what_blocks_is_told_as_a_gate_and_once() -> None:
    walk = waits()
    walk.state = replace(walk.state, policy=Policy(blocked=BAD_CONFIG))
    gates = [wait["gate"] for wait in document(walk)["blocked_by"]]  # type: ignore[attr-defined]  # an array of objects
    assert gates == ["config", "window"]


def test_gates_that_allow_block_nothing() -> None:
    walk = waits()
    assert isinstance(walk.state.phase, Staged)
    walk.state = replace(walk.state, phase=replace(walk.state.phase, verdicts=ALLOW))
    assert document(walk)["blocked_by"] == []


def test_the_target_of_a_boot_being_verified_is_that_of_its_attempt() -> None:
    target = target_of(verifying().state)
    assert target is not None
    assert target.version == "2"


def test_a_check_that_is_overdue_is_due_now_and_not_in_the_past() -> None:
    walk = checked()
    walk.secs = 1000.0
    assert document(walk)["next_check"] == "2026-03-02T10:16:40Z"


# --------------------------------------------------------------------------- publishing


def published(folder: Path) -> dict[str, object]:
    told: dict[str, object] = json.loads((folder / STATUS_FILE).read_text())
    return told


def test_the_document_is_for_everybody(tmp_path: Path) -> None:
    Publisher(tmp_path, "0.1.0").publish(checked().state, at(0))
    assert (tmp_path / STATUS_FILE).stat().st_mode & 0o777 == 0o644
    assert published(tmp_path)["writer"] == {
        "version": "0.1.0",
        "pid": os.getpid(),
        "start_ticks": start_ticks(os.getpid()),
    }


def test_the_document_is_written_when_it_says_something_new_and_only_then(tmp_path: Path) -> None:
    publisher, path = Publisher(tmp_path, "0.1.0"), tmp_path / STATUS_FILE
    walk = checked()
    publisher.publish(walk.state, at(0))
    first = path.stat().st_ino
    publisher.publish(walk.state, at(60))
    assert path.stat().st_ino == first, "only the time has passed"
    publisher.publish(available().state, at(60))
    assert path.stat().st_ino != first
    assert published(tmp_path)["written_at"] == "2026-03-02T10:01:00Z"


def test_a_document_that_could_not_be_written_is_written_the_next_time(tmp_path: Path) -> None:
    folder = tmp_path / "public"
    publisher = Publisher(folder, "0.1.0")
    with pytest.raises(FileNotFoundError):
        publisher.publish(checked().state, at(0))
    folder.mkdir()
    publisher.publish(checked().state, at(0))
    assert published(folder)["state"] == "steady"


# --------------------------------------------------------------------------- the writer


def test_a_process_has_one_start_and_no_start_once_it_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-Sc", "input()"], stdin=subprocess.PIPE) as child:
        began = start_ticks(child.pid)
        assert began is not None
        assert began == start_ticks(child.pid)
        assert began >= (start_ticks(os.getpid()) or 0)
        child.kill()
    assert start_ticks(child.pid) is None
