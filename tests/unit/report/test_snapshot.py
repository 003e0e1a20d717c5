"""The document that everybody may read: its keys, their types, since when, and whether its writer lives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from tests.fakes import agent_walks as walks
from tests.fakes.builders import (
    ALLOW,
    BAD_CONFIG,
    BROKEN,
    Walk,
    at,
    attempt,
    deciding,
    denial,
    host,
    offers,
    staged,
    staging,
    steady,
    verifying,
)
from tests.fakes.clock import START
from tests.fakes.engine import payload_of
from tidegate.clock import parse_rfc3339
from tidegate.engines.base import EngineTraits
from tidegate.fleetlock.account import LockReleased
from tidegate.gates.base import Wait
from tidegate.machine.events import PolicyChanged
from tidegate.machine.phases.waiting import Staged
from tidegate.machine.state import Policy
from tidegate.records.model import LockState, Records
from tidegate.report.explain import target_of
from tidegate.report.snapshot import Publisher, snapshot
from tidegate.report.status_file import STATUS_NAME
from tidegate.report.summary import summary
from tidegate.system.boot import start_ticks

WRITER: dict[str, object] = {"version": "0.1.0", "pid": 1, "start_ticks": 2}
TWO = {"version": "2", "payload": payload_of("2")}
ONE = {"version": "1", "payload": payload_of("1")}

Document = dict[str, object]


def document(walk: Walk) -> Document:
    return snapshot(walk.state, at(walk.secs), START, WRITER)


def test_an_agent_that_is_restarted_in_a_watch_speaks_before_it_has_read_the_host() -> None:
    watched = verifying()
    assert document(watched)["health"] is not None
    assert document(Walk(watched.state.records))["health"] is None


# --------------------------------------------------------------------------- keys and types

STATES = {"steady", "staging", "staged", "finalizing", "rebooting", "verifying", "disabled", "paused", "failed"}


def _text(value: object) -> bool:
    return isinstance(value, str)


def _instant(value: object) -> bool:
    return isinstance(value, str) and bool(parse_rfc3339(value))


def _or_null(kind: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or kind(value)


def _object(*keys: str) -> Callable[[object], bool]:
    return lambda value: isinstance(value, dict) and list(value) == list(keys)  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType]  # JSON


def _array(kind: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and all(map(kind, value))  # pyright: ignore[reportUnknownArgumentType]  # JSON


_RELEASE = _object("version", "payload")
_ATTEMPT = _object(
    "id", "from", "to", "purpose", "reason", "started_at", "ended_at", "outcome", "detail", "cause", "healthy_secs"
)  # fmt: skip

PUBLIC: dict[str, Callable[[object], bool]] = {
    "schema": lambda value: value == 1,
    "state": STATES.__contains__,
    "since": _instant,
    "booted": _or_null(_RELEASE),
    "staged": _or_null(_object("version", "payload", "locked")),
    "rollback": _or_null(_RELEASE),
    "blocked_by": _array(_text),
    "lock": _or_null(_object("server", "group", "id", "state", "since", "why")),
    "next_check": _or_null(_instant),
    "next_opening": _or_null(_instant),
    "last_error": _or_null(_object("kind", "message", "remedy", "at", "count")),
}
"""What every version has; ``source`` comes with the command."""

BESIDE: dict[str, Callable[[object], bool]] = {
    "writer": _object("version", "pid", "start_ticks"),
    "written_at": _instant,
    "summary": _text,
    "updates_enabled": lambda value: isinstance(value, bool),
    "engine": _or_null(_text),
    "traits": _or_null(_object(*(one.name for one in fields(EngineTraits)))),
    "next_boot": _or_null(_text),
    "target": _or_null(_RELEASE),
    "prospect": _object("purpose", "release", "staged", "since"),
    "waiting_since": _or_null(_instant),
    "gates": _array(_object("gate", "verdict", "reason", "since", "until", "remedy")),
    "progress": _or_null(_object("step", "fraction", "transferred_bytes")),
    "last_check": _or_null(_instant),
    "dead_end": _or_null(_text),
    "source_flaws": _or_null(_object("count", "first")),
    "deferred": _array(_object("release", "reason", "turn_at")),
    "passed_over": _array(_object("release", "cause", "reason")),
    "health": _or_null(_object("release", "verdict", "reason", "since", "until", "boots", "checks")),
    "rollback_due": _or_null(_object("from", "release", "since", "reason")),
    "stale_config": _or_null(_object("kind", "message", "remedy")),
    "denied": _array(_object("release", "cause", "evidence", "at", "boot_id", "journal_cursor")),
    "last_attempt": _or_null(_ATTEMPT),
    "history": _array(_ATTEMPT),
}


@pytest.mark.parametrize("walk", walks.EVERY, ids=[made.__name__ for made in walks.EVERY])
def test_in_every_situation_there_are_these_keys_of_these_types_and_no_others(walk: Callable[[], Walk]) -> None:
    told: Document = json.loads(json.dumps(document(walk())))
    assert set(told) == set(PUBLIC) | set(BESIDE)
    odd = {key: told[key] for key, kind in {**PUBLIC, **BESIDE}.items() if not kind(told[key])}
    assert odd == {}


def test_a_host_that_waits_is_told_whole() -> None:
    walk = Walk(Records(denied=(denial("3"),), history=(attempt(),))).answer(host(entries=("1", "0")))
    walk.wake().answer(offers("2")).answer(host(staged="2", entries=("1", "0")))
    walk.wake().answer((Wait("window", "closed", START + timedelta(hours=1), "wait"),))
    told = document(walk)
    assert told == {
        "schema": 1,
        "writer": WRITER,
        "written_at": "2026-03-02T10:00:00Z",
        "state": "staged",
        "since": "2026-03-02T10:00:00Z",
        "summary": "2 is staged and waits: window: closed",
        "updates_enabled": True,
        "engine": "ostree",
        "traits": {
            "stages_locked": True,
            "can_disarm": True,
            "can_rollback": True,
            "can_discard": True,
            "reboots": "agent",
            "evidence": "boot_entries",
            "reboot_kinds": ["reboot"],
            "arm_timeout_secs": 110.0,
            "updates_offline": False,
        },
        "booted": ONE,
        "staged": {**TWO, "locked": True},
        "rollback": {"version": "0", "payload": payload_of("0")},
        "next_boot": payload_of("1"),
        "target": TWO,
        "prospect": {"purpose": "update", "release": TWO, "staged": True, "since": "2026-03-02T10:00:00Z"},
        "waiting_since": "2026-03-02T10:00:00Z",
        "blocked_by": ["window"],
        "gates": [
            {
                "gate": "window",
                "verdict": "wait",
                "reason": "closed",
                "since": "2026-03-02T10:00:00Z",
                "until": "2026-03-02T11:00:00Z",
                "remedy": "wait",
            }
        ],
        "lock": None,
        "progress": None,
        "last_check": "2026-03-02T10:00:00Z",
        "next_check": "2026-03-02T10:05:07Z",
        "next_opening": "2026-03-02T11:00:00Z",
        "dead_end": None,
        "source_flaws": None,
        "deferred": [],
        "passed_over": [],
        "health": None,
        "rollback_due": None,
        "stale_config": None,
        "last_error": None,
        "denied": [
            {
                "release": {"version": "3", "payload": payload_of("3")},
                "cause": "fell_back",
                "evidence": "1 booted instead",
                "at": "2026-03-02T10:00:00Z",
                "boot_id": "",
                "journal_cursor": "",
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
        "cause": "",
        "healthy_secs": 0.0,
    }


def test_before_the_host_was_read_nothing_is_claimed_about_it() -> None:
    told = document(Walk())
    assert [told[key] for key in ("engine", "traits", "booted", "staged", "rollback", "next_boot", "target")] == [
        None
    ] * 7


def test_the_watch_is_told_with_every_check() -> None:
    told = document(walks.pending())["health"]
    assert told == {
        "release": TWO,
        "verdict": "watching",
        "reason": "boot-complete: boot-complete.target is activating",
        "since": "2026-03-02T10:00:00Z",
        "until": "2026-03-02T10:05:00Z",
        "boots": 1,
        "checks": [
            {
                "check": "boot-complete",
                "weight": "required",
                "state": "pending",
                "detail": "boot-complete.target is activating",
            }
        ],
    }
    verdicts = [document(walk())["health"] for walk in (walks.paused, walks.accepting)]
    assert [verdict["verdict"] for verdict in verdicts if isinstance(verdict, dict)] == ["bad", "good"]
    assert document(walks.leaving())["health"] is None


def test_a_rollback_that_is_due_is_told_until_it_has_happened() -> None:
    told = document(walks.leaving())
    assert told["rollback_due"] == {
        "from": TWO,
        "release": ONE,
        "since": "2026-03-02T10:00:00Z",
        "reason": "2 is unhealthy",
    }
    assert (told["target"], told["blocked_by"]) == (ONE, [])
    assert document(walks.deferred())["blocked_by"] == ["window"]


def test_progress_is_told_while_staging_alone() -> None:
    assert document(walks.halfway())["progress"] == {
        "step": "fetching",
        "fraction": 0.5,
        "transferred_bytes": 2_000_000,
    }
    assert document(staging())["progress"] is None
    assert document(walks.waits())["progress"] is None


def test_the_last_error_and_a_stale_configuration_are_told_with_their_remedies() -> None:
    walk = steady(Policy(stale=BAD_CONFIG)).wake().fail()
    told = document(walk)
    assert told["last_error"] == {
        "kind": "engine.failed",
        "message": "the engine broke",
        "remedy": "mend it",
        "at": "2026-03-02T10:00:00Z",
        "count": 1,
    }
    assert told["stale_config"] == {
        "kind": "config.invalid",
        "message": BAD_CONFIG.message,
        "remedy": BAD_CONFIG.remedy,
    }
    assert summary(walk.state) == BROKEN.message


def test_an_error_that_comes_again_is_counted_and_keeps_its_beginning() -> None:
    told = document(steady().wake().fail().wake().fail())["last_error"]
    assert isinstance(told, dict)
    assert (told["at"], told["count"]) == ("2026-03-02T10:00:00Z", 2)


def test_what_went_right_again_is_no_error_any_more() -> None:
    walk = steady().wake().answer(offers("2")).fail()
    assert document(walk)["last_error"] is not None
    assert document(walk.wake().answer(offers("2")).answer(host(staged="2")))["last_error"] is None


def test_what_blocks_is_told_as_a_gate_and_once() -> None:
    assert document(walks.blocked_staged())["blocked_by"] == ["config"]
    walk = walks.waits()
    walk.state = replace(walk.state, policy=Policy(blocked=BAD_CONFIG))
    assert document(walk)["blocked_by"] == ["config", "window"]


def test_gates_that_allow_block_nothing() -> None:
    walk = walks.waits()
    assert isinstance(walk.state.phase, Staged)
    walk.state = replace(walk.state, phase=replace(walk.state.phase, verdicts=ALLOW))
    assert document(walk)["blocked_by"] == []


def test_the_target_of_a_boot_being_verified_is_that_of_its_attempt() -> None:
    target = target_of(verifying().state)
    assert target is not None
    assert target.version == "2"


def test_a_check_that_is_overdue_is_due_now_and_not_in_the_past() -> None:
    walk = walks.checked()
    walk.secs = 1000.0
    assert document(walk)["next_check"] == "2026-03-02T10:16:40Z"


# --------------------------------------------------------------------------- the next opening


@pytest.mark.parametrize(
    ("untils", "opening"),
    [
        ((), None),
        ((None,), None),
        ((60,), "2026-03-02T10:01:00Z"),
        ((60, None, 3600, 120), "2026-03-02T11:00:00Z"),
    ],
)
def test_the_next_opening_is_that_of_the_last_gate_to_open(untils: tuple[int | None, ...], opening: str | None) -> None:
    """Before that one the host cannot go; those that do not know when they open are in ``blocked_by``."""
    verdicts = tuple(
        Wait(f"gate{number}", "shut", None if secs is None else START + timedelta(seconds=secs))
        for number, secs in enumerate(untils)
    )
    told = document(deciding().answer((*verdicts, *ALLOW)))
    assert told["next_opening"] == opening


def test_a_host_that_nothing_holds_has_no_opening() -> None:
    assert document(staged())["next_opening"] is None
    assert document(walks.checked())["next_opening"] is None


def test_a_lock_server_that_says_when_to_come_back_is_an_opening() -> None:
    assert document(walks.denied_lock())["next_opening"] == "2026-03-02T10:10:00Z"


# --------------------------------------------------------------------------- the lock


@pytest.mark.parametrize(
    ("walk", "state", "why"),
    [
        (walks.locking, LockState.MAYBE_HELD, ""),
        (walks.fleet_arming, LockState.HELD, ""),
        (walks.relocking, LockState.HELD, ""),
        (walks.fleet_verifying, LockState.HELD, ""),
        (walks.lock_unknown, LockState.RELEASE_OWED, "no answer within 30 s"),
        (walks.owed, LockState.RELEASE_OWED, "no answer within 30 s"),
    ],
)
def test_a_lock_is_told_in_each_of_its_states(walk: Callable[[], Walk], state: LockState, why: str) -> None:
    assert document(walk())["lock"] == {
        "server": "https://lock.example/",
        "group": "workers",
        "id": "0123abcd",
        "state": state,
        "since": "2026-03-02T10:00:00Z",
        "why": why,
    }


@pytest.mark.parametrize("walk", [walks.startup_release, walks.greeted, walks.fleet_staged, walks.denied_lock])
def test_a_lock_that_the_host_does_not_have_is_null(walk: Callable[[], Walk]) -> None:
    assert document(walk())["lock"] is None


def test_a_lock_that_was_given_back_is_gone() -> None:
    assert document(walks.owed().wake().answer(LockReleased()))["lock"] is None


def test_paths_of_secrets_are_nobodys_business() -> None:
    account = replace(walks.ACCOUNT, token_file="/etc/tidegate/token", client_key_file="/etc/tidegate/key.pem")
    walk = walks.fleet_arming()
    assert walk.state.records.lock is not None
    record = replace(walk.state.records.lock, account=account)
    walk.state = replace(walk.state, records=replace(walk.state.records, lock=record))
    assert "/etc/tidegate" not in json.dumps(document(walk))


# --------------------------------------------------------------------------- since when


class Agent:
    """One that publishes; :meth:`restart` is another process with the same records."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.restart()

    def restart(self) -> None:
        self.publisher = Publisher(self.folder, "0.1.0")

    def since(self, walk: Walk, secs: float) -> str:
        """What is published ``secs`` after the start."""
        self.publisher.publish(walk.state, at(secs))
        return str(published(self.folder)["since"])


def clock_time(secs: float) -> str:
    instant: datetime = START + timedelta(seconds=secs)
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture(name="agent")
def _agent(tmp_path: Path) -> Agent:
    return Agent(tmp_path)


def test_a_state_begins_with_its_first_document_and_lasts_through_its_phases(agent: Agent) -> None:
    assert agent.since(steady(), 10) == clock_time(10)
    assert agent.since(walks.checked(), 20) == clock_time(10)
    assert agent.since(staging(), 30) == clock_time(30)
    assert agent.since(walks.halfway(), 40) == clock_time(30)
    assert agent.since(walks.checked(), 50) == clock_time(50)


def test_all_of_a_finalization_is_one_state(agent: Agent) -> None:
    assert agent.since(walks.locking(), 10) == clock_time(10)
    assert agent.since(walks.relocking(), 20) == clock_time(10)
    assert agent.since(walks.rebooting(), 30) == clock_time(30)


def test_what_waits_has_waited_since_before_this_agent_was_started(agent: Agent, tmp_path: Path) -> None:
    walk = deciding()
    walk.secs = 600.0
    walk.answer((Wait("window", "closed"),))
    assert agent.since(walk, 600) == clock_time(0)
    records = walk.state.records
    agent.restart()
    again = Walk(records)
    again.secs = 5000.0
    assert agent.since(again.answer(host()), 5000) == clock_time(5000), "not staged yet"
    again.wake().answer(offers("2")).answer(host(staged="2"))
    assert isinstance(again.state.phase, Staged)
    assert agent.since(again, 5100) == clock_time(0)
    told = published(tmp_path)
    assert told["waiting_since"] == clock_time(0)
    again.wake().answer((Wait("window", "closed"),))
    (gate,) = cast("list[Document]", document(again)["gates"])
    assert gate["since"] == clock_time(600), "the gate says so since the first agent asked it"


def test_a_reboot_that_was_called_off_does_not_start_the_wait_anew(agent: Agent) -> None:
    assert agent.since(walks.waits(), 60) == clock_time(0)
    assert agent.since(walks.locking(), 70) == clock_time(70)
    assert agent.since(walks.denied_lock(), 80) == clock_time(0)


def test_updates_that_are_blocked_are_so_since_they_are_and_not_since_something_waits(agent: Agent) -> None:
    walk = walks.waits()
    assert agent.since(walk, 60) == clock_time(0)
    walk.feed(PolicyChanged(Policy(blocked=BAD_CONFIG)))
    assert agent.since(walk, 90) == clock_time(90)
    assert agent.since(walk, 120) == clock_time(90)
    assert agent.since(walk.feed(PolicyChanged(Policy())), 150) == clock_time(0)


# --------------------------------------------------------------------------- publishing


def published(folder: Path) -> dict[str, object]:
    told: dict[str, object] = json.loads((folder / STATUS_NAME).read_text())
    return told


def test_the_document_is_for_everybody(tmp_path: Path) -> None:
    Publisher(tmp_path, "0.1.0").publish(walks.checked().state, at(0))
    assert (tmp_path / STATUS_NAME).stat().st_mode & 0o777 == 0o644
    assert published(tmp_path)["writer"] == {
        "version": "0.1.0",
        "pid": os.getpid(),
        "start_ticks": start_ticks(os.getpid()),
    }


def test_the_document_is_written_when_it_says_something_new_and_only_then(tmp_path: Path) -> None:
    publisher, path = Publisher(tmp_path, "0.1.0"), tmp_path / STATUS_NAME
    walk = walks.checked()
    publisher.publish(walk.state, at(0))
    first = path.stat().st_ino
    publisher.publish(walk.state, at(60))
    assert path.stat().st_ino == first, "only the time has passed"
    publisher.publish(walks.available().state, at(60))
    assert path.stat().st_ino != first
    assert published(tmp_path)["written_at"] == "2026-03-02T10:01:00Z"


def test_a_document_that_could_not_be_written_is_written_the_next_time(tmp_path: Path) -> None:
    folder = tmp_path / "public"
    publisher = Publisher(folder, "0.1.0")
    with pytest.raises(FileNotFoundError):
        publisher.publish(walks.checked().state, at(0))
    folder.mkdir()
    publisher.publish(walks.checked().state, at(0))
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
