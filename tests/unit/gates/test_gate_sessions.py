"""The gate ``sessions``: which users count, the notice they get, and the grace period."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.builders import at, release
from tests.fakes.clock import START
from tidegate.clock import Now
from tidegate.errors import ErrorKind, TidegateError
from tidegate.gates import sessions as module
from tidegate.gates.base import NOT_NOTICED, Allow, Notice, Question, Verdict, Wait
from tidegate.gates.grace import STALE_SECS, NotStarted, Over, Running, TooLong, grace
from tidegate.gates.people import MAX_NAMED, MAX_TERMINALS, Ignored, named, present, terminals
from tidegate.gates.sessions import PROGRAMS_CLASSES, Sessions
from tidegate.gates.sessions import SessionsSettings as Settings
from tidegate.release import Purpose
from tidegate.services.sessions import Session

GRACE_SECS = 600
CORE = Session("4", "core", 1000, "tty", "user", "active", "pts/3", "", START, 100.0, None)


def question(
    secs: float = 0,
    noticed: float | None = None,
    allowed_until: datetime | None = None,
    purpose: Purpose = Purpose.UPDATE,
) -> Question:
    """``secs`` after the start; users were notified at ``noticed``."""
    given = NOT_NOTICED if noticed is None else {"sessions": at(noticed)}
    return Question(release("2"), purpose, at(secs), allowed_until, given)


def ask(asked: Question, *there: Session, settings: Settings | None = None) -> Verdict:
    async def list_sessions() -> Sequence[Session]:
        return there

    return asyncio.run(Sessions(settings or Settings(), list_sessions).ask(asked))


def test_an_empty_host_may_reboot_at_once() -> None:
    assert ask(question()) == Allow("sessions", "nobody is logged in")


def test_users_are_to_be_notified_first() -> None:
    verdict = ask(question(), CORE)
    assert isinstance(verdict, Wait)
    assert (
        verdict.reason
        == "logged in: core on pts/3 since 2026-03-02T10:00:00Z; not notified yet, with 600 s from then on"
    )
    assert verdict.until == START + timedelta(seconds=GRACE_SECS)
    assert "--override sessions" in verdict.remedy
    assert verdict.notice == Notice(
        "Tidegate is about to reboot this host into release 2 (an update).\n"
        "You have until 2026-03-02 10:10:00 UTC, 10 min, to save your work and log out.\n"
        "Once nobody is logged in, it may go down at any moment.",
        START + timedelta(seconds=GRACE_SECS),
        ("pts/3",),
    )


def test_a_rollback_says_that_it_is_one() -> None:
    verdict = ask(question(purpose=Purpose.ROLLBACK), CORE)
    assert isinstance(verdict, Wait)
    assert verdict.notice is not None
    assert "back from a release that does not work" in verdict.notice.text


def test_users_who_were_notified_have_time_and_get_no_second_notice() -> None:
    verdict = ask(question(100, noticed=40), CORE)
    assert isinstance(verdict, Wait)
    assert (verdict.notice, verdict.until) == (None, START + timedelta(seconds=40 + GRACE_SECS))
    assert "2026-03-02T10:10:40Z" in verdict.reason


@pytest.mark.parametrize(("secs", "allowed"), [(639.9, False), (640, True), (640 + STALE_SECS, True)])
def test_the_reboot_is_allowed_from_the_end_of_the_grace_period_on(secs: float, allowed: bool) -> None:
    verdict = ask(question(secs, noticed=40), CORE)
    assert isinstance(verdict, Allow) is allowed
    if isinstance(verdict, Allow):
        assert "the grace period is over" in verdict.detail
        assert "core on pts/3" in verdict.detail


def test_a_notice_becomes_stale() -> None:
    verdict = ask(question(641 + STALE_SECS, noticed=40), CORE)
    assert isinstance(verdict, Wait)
    assert verdict.notice is not None


def test_the_last_logout_ends_the_wait_and_a_login_during_the_grace_period_does_not_extend_it() -> None:
    assert isinstance(ask(question(100, noticed=40)), Allow)
    late = replace(CORE, id="5", user="late", since=START + timedelta(seconds=630), began_boot_secs=730.0)
    assert isinstance(ask(question(640, noticed=40), late), Allow)


def test_with_a_grace_period_of_0_users_are_only_notified() -> None:
    settings = replace(Settings(), grace_secs=0)
    first = ask(question(), CORE, settings=settings)
    assert isinstance(first, Wait)
    assert first.notice is not None
    assert first.until == START
    assert isinstance(ask(question(1, noticed=0), CORE, settings=settings), Allow)


@pytest.mark.parametrize(("allowed_secs", "fits"), [(600, False), (601, True)])
def test_a_grace_period_that_would_outlast_the_window_is_not_begun(allowed_secs: int, fits: bool) -> None:
    verdict = ask(question(allowed_until=START + timedelta(seconds=allowed_secs)), CORE)
    assert isinstance(verdict, Wait)
    assert (verdict.notice is not None) is fits
    if not fits:
        assert verdict.until is None
        assert "allowed only before 2026-03-02T10:10:00Z" in verdict.reason
        assert "grace_secs" in verdict.remedy


def test_a_grace_that_runs_is_not_ended_by_a_window() -> None:
    """The window's own gate does that; here it is about the people."""
    verdict = ask(question(100, noticed=40, allowed_until=START + timedelta(seconds=101)), CORE)
    assert isinstance(verdict, Wait)
    assert verdict.until == START + timedelta(seconds=640)


@pytest.mark.parametrize(
    "error", [TidegateError(ErrorKind.REBOOT_UNREACHABLE, "logind does not answer", "start it"), TimeoutError()]
)
def test_an_unreadable_list_counts_as_a_user_for_the_grace_period_at_most(error: Exception) -> None:
    async def list_sessions() -> Sequence[Session]:
        raise error

    gate = Sessions(Settings(), list_sessions)
    first = asyncio.run(gate.ask(question()))
    assert isinstance(first, Wait)
    assert "it is not known who is logged in" in first.reason
    assert first.notice is not None
    assert first.notice.terminals == ()
    assert isinstance(asyncio.run(gate.ask(question(599, noticed=0))), Wait)
    assert isinstance(asyncio.run(gate.ask(question(600, noticed=0))), Allow)


def test_a_logind_that_never_answers_is_unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    async def list_sessions() -> Sequence[Session]:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(module, "LIST_TIMEOUT_SECS", 0.001)
    verdict = asyncio.run(Sessions(Settings(), list_sessions).ask(question()))
    assert isinstance(verdict, Wait)
    assert "no answer within 0 s" in verdict.reason


# --------------------------------------------------------------------------- who counts


def counts(session: Session, ignored: Ignored | None = None, now: Now | None = None) -> bool:
    defaults = Ignored(categories=frozenset(PROGRAMS_CLASSES))
    return bool(present([session], ignored or defaults, now or at(0)))


@pytest.mark.parametrize(
    ("category", "is_somebody"),
    [
        ("user", True),
        ("user-early", True),  # root's logins on systemd 256 and newer
        ("user-light", True),
        ("user-incomplete", True),
        ("of-a-later-systemd", True),
        ("greeter", False),
        ("lock-screen", False),
        ("background", False),
        ("background-light", False),
        ("manager", False),
        ("manager-early", False),
    ],
)
def test_which_classes_are_people(category: str, is_somebody: bool) -> None:
    assert counts(replace(CORE, category=category)) is is_somebody


@pytest.mark.parametrize(("state", "is_there"), [("online", True), ("active", True), ("closing", False)])
def test_who_has_logged_out_is_not_there_though_a_process_of_theirs_may_be(state: str, is_there: bool) -> None:
    assert counts(replace(CORE, state=state)) is is_there


@pytest.mark.parametrize(("user", "counted"), [("core", False), ("1000", False), ("100", True), ("cor", True)])
def test_users_are_ignored_by_name_or_number(user: str, counted: bool) -> None:
    assert counts(CORE, Ignored(users=frozenset({user}))) is counted


@pytest.mark.parametrize(
    ("idle_secs", "last_input_secs", "counted"),
    [(0, -99, True), (60, -59.9, True), (60, -60, False), (60, 30, True), (60, None, True)],
)
def test_who_has_done_nothing_for_long_enough_is_not_there(
    idle_secs: int, last_input_secs: float | None, counted: bool
) -> None:
    last = None if last_input_secs is None else START + timedelta(seconds=last_input_secs)
    old = replace(CORE, last_input=last, began_boot_secs=0.0)
    assert counts(old, Ignored(idle_secs=idle_secs)) is counted


def test_a_clock_that_was_set_makes_nobody_idle_for_longer_than_they_are_there() -> None:
    """A host without a battery for its clock wakes in 1970; the clock is set when the network is up."""
    fresh = replace(CORE, last_input=datetime(1970, 1, 1, tzinfo=UTC), began_boot_secs=at(0).boot_secs - 20)
    assert counts(fresh, Ignored(idle_secs=60))
    assert not counts(fresh, Ignored(idle_secs=60), at(40))


def test_people_are_named_with_where_they_are_and_not_endlessly() -> None:
    graphical = replace(CORE, id="c2", user="ada", kind="wayland", tty="tty2", remote_host="", since=None)
    remote = replace(CORE, user="bob", remote_host="10.0.0.7")
    assert named([graphical]) == "ada on session c2 (wayland)"
    assert named([remote]) == "bob on pts/3 from 10.0.0.7 since 2026-03-02T10:00:00Z"
    assert named([replace(CORE, user="", tty="")]).startswith("1000 on session 4 (tty)")
    assert named([CORE] * (MAX_NAMED + 7)).endswith(" and 7 more")
    assert named([CORE] * MAX_NAMED).count("core on") == MAX_NAMED


def test_what_others_chose_to_be_called_cannot_break_the_line() -> None:
    assert named([replace(CORE, user="a\x1b[2J\nb", since=None)]) == "a [2J b on pts/3"


def test_the_terminals_are_those_where_somebody_may_read() -> None:
    there = [
        CORE,
        replace(CORE, id="5"),
        replace(CORE, id="6", tty="tty2", kind="x11"),
        replace(CORE, id="7", tty="tty1"),
        replace(CORE, id="8", tty=""),
    ]
    assert terminals(there) == ("pts/3", "tty1")
    assert len(terminals([replace(CORE, tty=f"pts/{number}") for number in range(MAX_TERMINALS + 9)])) == MAX_TERMINALS


def test_ignored_users_are_notified_as_well() -> None:
    idle = replace(CORE, id="5", user="idle", tty="pts/9")
    verdict = ask(question(), CORE, idle, settings=replace(Settings(), ignore_users=("idle",)))
    assert isinstance(verdict, Wait)
    assert "idle" not in verdict.reason
    assert verdict.notice is not None
    assert verdict.notice.terminals == ("pts/3", "pts/9")


# --------------------------------------------------------------------------- the schedule of the grace

SECS = st.floats(0, 10 * STALE_SECS, allow_nan=False)


@given(length=SECS, noticed=SECS, later=SECS, wall_step=st.floats(-1e8, 1e8))
def test_a_grace_is_as_long_as_it_is_by_the_boot_clock_alone(
    length: float, noticed: float, later: float, wall_step: float
) -> None:
    now = Now(START + timedelta(seconds=noticed + later + wall_step), noticed + later)
    before = Now(START + timedelta(seconds=noticed), noticed)
    elapsed = now.boot_secs - before.boot_secs
    match grace(length, now, before, None):
        case Running():
            assert elapsed < length
        case Over():
            assert length <= elapsed <= length + STALE_SECS
        case NotStarted():
            assert elapsed > length + STALE_SECS
        case TooLong():
            raise AssertionError


@given(length=SECS, allowed_secs=SECS)
def test_a_grace_begins_only_where_it_ends_while_a_reboot_is_allowed(length: float, allowed_secs: float) -> None:
    allowed_until = START + timedelta(seconds=allowed_secs)
    found = grace(length, at(0), None, allowed_until)
    assert isinstance(found, NotStarted | TooLong)
    assert isinstance(found, NotStarted) is (found.until < allowed_until)


def test_a_notice_of_another_boot_is_none() -> None:
    assert isinstance(grace(600, at(0), at(50), None), NotStarted)
