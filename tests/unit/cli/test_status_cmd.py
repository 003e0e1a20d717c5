"""``tidegate status``: what people read, what scripts compare, and what is said when nobody is there."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.fakes import agent_walks as walks
from tests.fakes.builders import (
    BAD_CONFIG,
    WAIT,
    Walk,
    at,
    attempt,
    deciding,
    denial,
    host,
    offers,
    quick,
    staging,
    steady,
    unhealthy,
    verifying,
)
from tests.fakes.clock import START
from tidegate.cli import snapshot_file
from tidegate.cli.entry import cli
from tidegate.cli.status_cmd import exit_code, lines
from tidegate.gates.base import Allow, Wait
from tidegate.machine.state import Policy
from tidegate.records.model import Outcome, Records
from tidegate.report.snapshot import Publisher, snapshot
from tidegate.report.status_file import is_live
from tidegate.system.boot import start_ticks

NOW = datetime(2026, 3, 2, 10, 10, tzinfo=UTC)
Document = Mapping[str, object]


@pytest.fixture(name="status_file")
def _status_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command looks; nothing is there yet."""
    path = tmp_path / "status.json"
    monkeypatch.setattr(snapshot_file.read, "__defaults__", (str(path),))
    return path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments), catch_exceptions=False)


def document(walk: Walk) -> Document:
    return snapshot(walk.state, at(walk.secs), START, {"version": "0.1.0", "pid": 1, "start_ticks": 1})


# --------------------------------------------------------------------------- for people


def told(walk: Walk) -> str:
    return "\n".join(lines(document(walk), NOW)) + "\n"


def test_a_host_that_is_up_to_date() -> None:
    assert (
        told(steady().wake().answer(offers()))
        == """\
State:    up to date
Since:    10 min ago
Booted:   1 (6b86b273ff34)
Checks:   last 10 min ago, the next is due
"""
    )


def test_a_host_that_waits_says_for_what_and_what_to_do() -> None:
    assert (
        told(deciding().answer(WAIT))
        == """\
State:    2 is staged and waits: window: the window is closed
Since:    10 min ago
Booted:   1 (6b86b273ff34)
Staged:   2 (d4735e3a265e), locked: not used by the next boot
Waits:    window: the window is closed, since 10 min ago
          to do: wait
Checks:   last 10 min ago, the next is due
"""
    )


def test_a_host_with_a_past() -> None:
    records = Records(denied=(denial("2"),), history=(attempt(outcome=Outcome.FELL_BACK),))
    often = quick(Policy(steady_interval_secs=100))
    walk = Walk(records, often).answer(host(entries=("1", "0"))).wake().fail()
    assert (
        told(walk)
        == """\
State:    the engine broke
Since:    10 min ago
Booted:   1 (6b86b273ff34)
Rollback: 0 (5feceb66ffc8)
Checks:   none yet, the next is due
Last:     1 -> 2: fell back, 1 h 10 min ago (power cut)
Denied:   2 (d4735e3a265e): 1 booted instead
Trouble:  the engine broke (since 10 min ago)
          to do: mend it
"""
    )


def test_several_reasons_have_a_line_each_with_their_times_and_what_to_do() -> None:
    waits = (
        Wait("periodic", "the window is shut", START + timedelta(hours=26), "see tidegate windows"),
        Allow("immediate"),
        Wait("inhibitors", "backup holds shutdowns back: copying"),
    )
    assert (
        told(deciding().answer(waits))
        == """\
State:    2 is staged and waits: periodic: the window is shut
Since:    10 min ago
Booted:   1 (6b86b273ff34)
Staged:   2 (d4735e3a265e), locked: not used by the next boot
Waits:    periodic: the window is shut, since 10 min ago, until 2026-03-03 12:00 UTC, in 1 d 1 h
          to do: see tidegate windows
Waits:    inhibitors: backup holds shutdowns back: copying, since 10 min ago
Checks:   last 10 min ago, the next is due
"""
    )


def test_a_lock_that_is_owed_is_told_with_why() -> None:
    assert (
        told(walks.owed())
        == """\
State:    2 is staged and waits: fleet_lock: the lock of group workers at https://lock.example/ has not been \
released yet: no answer within 30 s
Since:    10 min ago
Booted:   1 (6b86b273ff34)
Staged:   2 (d4735e3a265e), locked: not used by the next boot
Waits:    fleet_lock: the lock of group workers at https://lock.example/ has not been released yet: \
no answer within 30 s
          to do: wait; or, if that server is gone for good: tidegate lock forget --reason TEXT
Lock:     release owed since 10 min ago, https://lock.example/: no answer within 30 s
Checks:   last 10 min ago, the next is due
"""
    )


def test_a_lock_that_is_held_while_a_boot_is_verified() -> None:
    assert "Lock:     held since 10 min ago, https://lock.example/\n" in told(walks.fleet_verifying())


def test_a_host_that_updates_by_hand_says_so() -> None:
    assert (
        told(walks.disabled())
        == """\
State:    not checked yet
Since:    10 min ago
Booted:   1 (6b86b273ff34)
Waits:    updates: updates.enabled is false
          to do: tidegate apply --now --reason TEXT
Checks:   none yet
"""
    )


def test_a_configuration_that_was_not_reloaded() -> None:
    assert told(steady(quick(Policy(stale=BAD_CONFIG)))).endswith(
        "Config:   not reloaded, the last good one is in force: 20-updates.toml:3: no such key\n"
        "          to do: tidegate config check\n"
    )


def test_a_release_that_the_next_boot_leads_into_is_called_that() -> None:
    walk = Walk().answer(host(staged="2", locked=False))
    assert "Staged:   2 (d4735e3a265e), used by the next boot\n" in told(walk)


def test_an_empty_document_has_lines_all_the_same() -> None:
    assert list(lines({}, NOW)) == ["State:    ", "Booted:   unknown", "Checks:   none yet"]


# --------------------------------------------------------------------------- for scripts

CODES = {
    "steady": 0,
    "disabled": 0,
    "staging": 10,
    "staged": 11,
    "finalizing": 12,
    "rebooting": 12,
    "verifying": 12,
    "paused": 21,
    "failed": 30,
}
"""The whole closed set, by its word alone."""

SITUATIONS = {
    walks.checked: 0,
    walks.disabled: 0,
    walks.startup_release: 0,
    walks.available: 10,
    staging: 10,
    walks.waits: 11,
    walks.denied_lock: 11,
    walks.disabled_staged: 11,
    walks.locking: 12,
    walks.rebooting: 12,
    walks.starting: 12,
    walks.pending: 12,
    walks.paused: 21,
    walks.blocked: 30,
    walks.blocked_staged: 30,
    walks.sealed: 30,
    walks.unread: 30,
}


@pytest.mark.parametrize(("state", "code"), CODES.items())
def test_each_state_has_its_code(state: str, code: int) -> None:
    assert exit_code({"state": state}) == code


@pytest.mark.parametrize(("walk", "code"), SITUATIONS.items(), ids=[made.__name__ for made in SITUATIONS])
def test_each_situation_has_its_code(walk: Callable[[], Walk], code: int) -> None:
    assert exit_code(document(walk())) == code


@pytest.mark.parametrize("state", ["steady", "disabled"])
def test_a_release_that_is_known_and_not_staged_is_available(state: str) -> None:
    assert exit_code({"state": state, "target": {"version": "2"}, "last_attempt": {"outcome": "fell_back"}}) == 10


@pytest.mark.parametrize(
    ("outcome", "code"),
    [("applied", 0), ("fell_back", 30), ("finalize_failed", 30), ("not_attempted", 30), ("half_applied", 30)],
)
def test_a_steady_host_has_the_code_of_its_last_attempt(outcome: str, code: int) -> None:
    assert exit_code({"state": "steady", "last_attempt": {"outcome": outcome}}) == code


# --------------------------------------------------------------------------- the command


def publish(path: Path, walk: Walk) -> None:
    """What a living agent has written: this process stands for it."""
    Publisher(path.parent, "0.1.0").publish(walk.state, at(walk.secs))


def test_without_exit_code_a_living_agent_is_0_whatever_it_says(status_file: Path) -> None:
    publish(status_file, verifying().answer(unhealthy("sshd failed")))
    done = run("status")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("State:    paused in 2: sshd: sshd failed\n")


def test_with_exit_code_the_state_is_the_code(status_file: Path) -> None:
    publish(status_file, verifying().answer(unhealthy("sshd failed")))
    assert run("status", "--exit-code").exit_code == 21


def test_json_is_the_snapshot_and_whether_it_lives(status_file: Path) -> None:
    publish(status_file, steady())
    given = json.loads(run("status", "--json").stdout)
    assert given == {**json.loads(status_file.read_text()), "live": True, "source": "snapshot"}


@pytest.mark.parametrize("option", [[], ["--json"], ["--exit-code"]])
def test_a_dead_agent_is_4_with_what_it_left_behind_and_what_to_do(status_file: Path, option: list[str]) -> None:
    publish(status_file, steady())
    left = json.loads(status_file.read_text())
    left["writer"]["start_ticks"] += 1
    status_file.write_text(json.dumps(left))
    done = run("status", *option)
    assert done.exit_code == 4
    assert done.stdout
    assert done.stderr == (
        "tidegate: the agent is not running; this is its last snapshot\n  to do: systemctl start tidegate.service\n"
    )
    if option == ["--json"]:
        assert json.loads(done.stdout)["live"] is False


@pytest.mark.parametrize("command", ["status", "history"])
def test_a_host_whose_agent_has_not_run_yet(status_file: Path, command: str) -> None:
    assert not status_file.exists()
    done = run(command)
    assert (done.exit_code, done.stdout) == (4, "")
    assert done.stderr == (
        "tidegate: the agent has not run since the host booted\n  to do: systemctl status tidegate.service\n"
    )


@pytest.mark.parametrize("command", ["status", "history"])
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe\x00"])
def test_a_snapshot_that_is_no_snapshot(status_file: Path, command: str, content: bytes) -> None:
    status_file.write_bytes(content)
    done = run(command)
    assert (done.exit_code, done.stdout) == (4, "")
    assert done.stderr.startswith(f"tidegate: {status_file}: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "writer",
    [
        {"pid": os.getpid(), "start_ticks": start_ticks(os.getpid())},
        {"pid": os.getpid(), "start_ticks": 1},
        {"pid": 2**22 + 1, "start_ticks": 1},
        {"pid": None, "start_ticks": None},
        {},
    ],
    ids=["me", "pid given out again", "gone", "null", "missing"],
)
def test_a_snapshot_lives_with_the_very_process_that_wrote_it(writer: dict[str, object]) -> None:
    mine = writer.get("start_ticks") == start_ticks(os.getpid())
    assert is_live({"writer": writer}) is mine


def test_odd_types_in_a_snapshot_are_read_as_missing() -> None:
    odd: Document = {
        "writer": 3,
        "blocked_by": {"a": 1},
        "gates": [1, {"verdict": "wait"}],
        "lock": [],
        "denied": [1, {"release": None}],
        "state": 7,
    }
    assert not is_live(odd)
    assert list(lines(copy.deepcopy(odd), NOW + timedelta(days=1)))


# --------------------------------------------------------------------------- history


def test_the_history_is_told_oldest_first(status_file: Path) -> None:
    records = Records(history=(attempt("2", Outcome.NOT_ATTEMPTED), attempt("3", Outcome.APPLIED)))
    publish(status_file, Walk(records))
    assert run("history").stdout == (
        "2026-03-02 09:00 UTC  1 -> 2                    not_attempted    automatic: power cut\n"
        "2026-03-02 09:00 UTC  1 -> 3                    applied          automatic: power cut\n"
    )
    given = json.loads(run("history", "--json").stdout)
    assert given == {"schema": 1, "history": json.loads(status_file.read_text())["history"]}


def test_an_empty_history_says_so(status_file: Path) -> None:
    publish(status_file, Walk())
    assert run("history").stdout == "No attempt yet.\n"
    assert json.loads(run("history", "--json").stdout) == {"schema": 1, "history": []}


def test_the_history_of_a_dead_agent_can_be_read(status_file: Path) -> None:
    status_file.write_text('{"history": []}')
    assert run("history").exit_code == 0


def test_who_the_host_is_and_what_is_deferral() -> None:
    held = {"release": {"version": "2", "payload": "c2"}, "reason": "is offered to 34 % of hosts now"}
    told = {
        **document(steady()),
        "deferred": [held | {"turn_at": "2026-03-02T13:20:00Z"}],
        "host": {"node_uuid": "e0f3745b108f471cbd4883c6fbed8cdd", "group": "workers", "doubts": ["cloned"]},
    }
    found = list(lines(told, NOW))
    assert "Held:     2 is offered to 34 % of hosts now, this host's turn is in 3 h 10 min" in found
    assert "Host:     e0f3745b108f471cbd4883c6fbed8cdd, group workers" in found
    assert "          cloned" in found


@pytest.mark.parametrize(
    ("source", "window", "told"),
    [
        (("native", None), None, "the remote of the booted release; strategy immediate"),
        (("cincinnati", "https://u.example"), None, "https://u.example; strategy immediate"),
        (
            ("native", None),
            {"open": True, "until": "2026-03-02T11:10:00Z"},
            "the remote of the booted release; strategy immediate, open until 2026-03-02 11:10 UTC, in 1 h 0 min",
        ),
        (
            ("native", None),
            {"open": False, "until": "2026-03-02T11:10:00Z"},
            "the remote of the booted release; strategy immediate, next window 2026-03-02 11:10 UTC, in 1 h 0 min",
        ),
        (
            ("native", None),
            {"open": False, "until": "2026-03-02T09:10:00Z"},
            "the remote of the booted release; strategy immediate",
        ),
        (
            ("native", None),
            {"open": False, "until": None},
            "the remote of the booted release; strategy immediate, no window ahead",
        ),
        (
            ("native", None),
            {"open": True, "until": None},
            "the remote of the booted release; strategy immediate, open without end",
        ),
    ],
)
def test_what_the_host_follows(source: tuple[str, str | None], window: Document | None, told: str) -> None:
    kind, url = source
    follows = {"source": {"kind": kind, "url": url}, "strategy": ["immediate"], "window": window}
    shown = [*lines({**document(steady()), "follows": follows}, NOW)]
    assert f"Follows:  {told}" in shown
