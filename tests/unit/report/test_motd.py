"""What people who log in are told, and when a reboot is waited for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.fakes import agent_walks as walks
from tests.fakes.builders import Walk, at
from tests.fakes.clock import START
from tests.fakes.snapshots import EVERYTHING, REST, STAGED, Document, attempt
from tidegate.cli.entry import COMMANDS
from tidegate.report.motd import MAX_NOTICES, MOTD_FILE, REBOOT_FILE, MotdWriter, Notices, notices
from tidegate.report.snapshot import snapshot

HEALTH: Document = {
    "since": "2026-03-02T11:00:00Z",
    "verdict": "bad",
    "checks": [{"check": "web", "state": "failed"}, {"check": "db", "state": "passed"}],
}
DUE: Document = {"release": {"version": "0"}, "since": "2026-03-02T11:30:00Z", "reason": "web failed 3 times"}


def said(document: Mapping[str, object], **changes: object) -> list[str]:
    return notices({**document, **changes}).motd.splitlines()


def test_a_host_at_rest_has_nothing_to_say() -> None:
    assert notices(REST) == Notices("", reboot_required=False)
    assert notices({**REST, "state": "disabled", "blocked_by": ["updates"]}) == Notices()
    assert notices({**REST, "last_attempt": attempt("applied")}) == Notices()


def test_a_release_that_waits_is_named_with_its_time_its_gates_and_the_commands() -> None:
    what, to_do = said(STAGED, blocked_by=["periodic", "sessions"])
    waits = "release 2 is staged and waits for a reboot since 2026-03-02 08:00 UTC (held by periodic, sessions)"
    assert what == f"Tidegate: {waits}"
    assert "tidegate apply --reason TEXT" in to_do
    assert "tidegate explain" in to_do
    assert notices(STAGED).reboot_required


@pytest.mark.parametrize(
    ("changes", "waited_for"),
    [
        ({"state": "rebooting"}, True),
        ({"state": "finalizing"}, True),
        ({"state": "verifying", "staged": STAGED["staged"]}, True),
        ({"rollback_due": DUE}, True),
        ({"state": "staging", "target": STAGED["target"]}, False),
        ({"state": "paused"}, False),
        ({"dead_end": "over"}, False),
    ],
)
def test_a_reboot_is_waited_for(changes: Document, waited_for: bool) -> None:
    assert notices({**REST, **changes}).reboot_required == waited_for


def test_a_configuration_that_was_bad_at_the_start() -> None:
    gate = {"gate": "config", "verdict": "wait", "reason": "x", "remedy": "tidegate config check"}
    what, to_do = said(REST, state="failed", summary="does not update: 20.toml:3: no such key", gates=[gate])
    assert "not updated since 2026-03-02 11:00 UTC" in what
    assert "20.toml:3" in what
    assert to_do == "  To do: tidegate config check"


def test_a_configuration_that_went_bad_since() -> None:
    stale = {"kind": "config.invalid", "message": "20.toml:1: bad", "remedy": ""}
    what, to_do = said(REST, stale_config=stale)
    assert "20.toml:1: bad" in what
    assert to_do == "  To do: tidegate config check"


def test_a_host_that_is_paused_names_what_failed_and_both_ways_out() -> None:
    what, to_do = said(REST, state="paused", health=HEALTH)
    assert "release 1 is unhealthy since 2026-03-02 11:00 UTC (web)" in what
    assert "tidegate resume" in to_do
    assert "tidegate rollback" in to_do


def test_a_host_that_goes_on_unwell_says_so() -> None:
    (what, _) = said(REST, health=HEALTH)
    assert what.endswith("unhealthy since 2026-03-02 11:00 UTC (web); it stays in use")
    assert said(REST, health={**HEALTH, "verdict": "good"}) == []


def test_a_rollback_that_is_due_is_said_once() -> None:
    last = attempt("rejected")
    what, to_do = said(REST, health=HEALTH, rollback_due=DUE, last_attempt=last)
    assert "a rollback from release 1 is pending since 2026-03-02 11:30 UTC: web failed 3 times" in what
    assert "tidegate explain" in to_do


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (attempt("fell_back"), "the update to 2 fell back on 2026-03-01 12:00 UTC: 1 booted instead"),
        (attempt("rejected"), "the update to 2 was rejected on"),
        (attempt("finalize_failed"), "the update to 2 failed on 2026-03-01 12:00 UTC"),
        (
            attempt("applied", "rollback"),
            "this host was rolled back from release 1 to 2 on 2026-03-01 12:00 UTC: automatic",
        ),
    ],
)
def test_an_update_that_did_not_last_is_told_until_the_next(last: Document, words: str) -> None:
    what, to_do = said(REST, last_attempt=last)
    assert words in what
    assert "tidegate history" in to_do


def test_a_power_cut_is_nothing_to_tell() -> None:
    assert said(REST, last_attempt=attempt("not_attempted")) == []


def test_a_dead_end_is_told_with_its_reason() -> None:
    (what, _) = said(REST, dead_end="the stream has ended; move to stable")
    assert what == "Tidegate: release 1 gets no further updates: the stream has ended; move to stable"


def test_the_worst_comes_first_and_there_is_no_wall_of_text() -> None:
    lines = said(EVERYTHING, state="paused")
    assert len(lines) == 2 * MAX_NOTICES
    assert "unhealthy" in lines[0]
    assert all(len(line) < 400 for line in lines)


def test_what_others_wrote_does_not_reach_a_terminal_as_it_is() -> None:
    (what, _) = said(REST, dead_end="\x1b[2Jgone\nTidegate: all is well " + "x" * 5000)
    assert "\x1b" not in what
    assert len(what) < 400


def test_every_command_that_is_told_exists_or_is_asked_of_the_agent() -> None:
    changes: list[Document] = [
        {"state": "paused", "health": HEALTH},
        {"rollback_due": DUE},
        {"last_attempt": attempt("fell_back")},
        {"state": "failed"},
    ]
    told = "".join(notices({**STAGED, **each}).motd for each in changes)
    commands = set(re.findall(r"tidegate ([a-z]+)", told))
    assert {"apply", "history", "explain", "status"} <= commands
    assert commands <= {*COMMANDS, "resume", "rollback", "allow"}


@pytest.mark.parametrize("walk", walks.EVERY, ids=[made.__name__ for made in walks.EVERY])
def test_in_every_situation_of_an_agent_each_notice_is_one_line_and_one_to_do(walk: Callable[[], Walk]) -> None:
    document = snapshot(walk().state, at(0), START, {})
    lines = notices(document).motd.splitlines()
    assert [line.startswith("Tidegate: ") for line in lines[::2]] == [True] * len(lines[::2])
    assert [line.startswith("  To do: ") for line in lines[1::2]] == [True] * len(lines[::2])
    assert not any(word in line for line in lines for word in ("None", "?", "reason unknown"))


# --------------------------------------------------------------------------- the board


def contents(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.iterdir()}


def test_the_board_puts_up_and_takes_down(tmp_path: Path) -> None:
    board = MotdWriter(tmp_path)
    board.post(STAGED)
    assert set(contents(tmp_path)) == {MOTD_FILE, REBOOT_FILE}
    assert contents(tmp_path)[MOTD_FILE] == notices(STAGED).motd
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o644}
    board.post(REST)
    assert contents(tmp_path) == {}


def test_the_board_writes_only_what_has_changed(tmp_path: Path) -> None:
    board = MotdWriter(tmp_path)
    board.post(STAGED)
    before = {file: file.stat().st_ino for file in tmp_path.iterdir()}
    board.post({**STAGED, "written_at": "2026-03-02T12:01:00Z", "summary": "other"})
    assert {file: file.stat().st_ino for file in tmp_path.iterdir()} == before


def test_what_an_earlier_agent_put_up_stands_until_the_host_is_read(tmp_path: Path) -> None:
    MotdWriter(tmp_path).post(STAGED)
    board = MotdWriter(tmp_path)
    board.post({**REST, "state": "verifying", "booted": None})
    assert set(contents(tmp_path)) == {MOTD_FILE, REBOOT_FILE}
    board.post(REST)
    assert contents(tmp_path) == {}


def test_a_host_that_cannot_be_read_is_told_all_the_same(tmp_path: Path) -> None:
    MotdWriter(tmp_path).post({**REST, "state": "failed", "booted": None, "summary": "cannot read the host: x"})
    assert "cannot read the host" in contents(tmp_path)[MOTD_FILE]


def test_what_could_not_be_written_is_tried_again(tmp_path: Path) -> None:
    folder = tmp_path / "public"
    board = MotdWriter(folder)
    with pytest.raises(FileNotFoundError):
        board.post(STAGED)
    folder.mkdir()
    board.post(STAGED)
    assert set(contents(folder)) == {MOTD_FILE, REBOOT_FILE}
