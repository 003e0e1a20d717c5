"""Decisions and log lines as entries: their fields, masked passwords, suppressed repetitions."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.fakes.clock import FakeClock
from tidegate.journal.log import JournalLog, LogHandler, masked
from tidegate.journal.native import Fields
from tidegate.machine.effects import ERROR, NOTICE, Announce
from tidegate.machine.topics import Topic

HOUR_SECS = 3600.0


class Kept:
    """A sink that keeps what is written."""

    def __init__(self) -> None:
        self.entries: list[Fields] = []

    def write(self, fields: Fields) -> None:
        self.entries.append(fields)

    @property
    def messages(self) -> list[str]:
        return [entry["MESSAGE"] for entry in self.entries]


@pytest.fixture(name="sink")
def _sink() -> Kept:
    return Kept()


@pytest.fixture(name="clock")
def _clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(name="journal_log")
def _journal_log(sink: Kept, clock: FakeClock) -> JournalLog:
    return JournalLog(sink, clock)


@pytest.fixture(name="log")
def _log(journal_log: JournalLog) -> Iterator[logging.Logger]:
    log, handler = logging.getLogger("tidegate.test"), LogHandler(journal_log)
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    log.propagate = False
    yield log
    log.removeHandler(handler)
    log.propagate = True


def test_a_decision_is_one_entry_with_its_kind_its_release_and_the_state(sink: Kept, journal_log: JournalLog) -> None:
    journal_log.write_decision(Announce(Topic.STAGED, NOTICE, "staged 2", "2"), "staged")
    assert sink.entries == [
        {
            "MESSAGE": "staged 2",
            "PRIORITY": "5",
            "MESSAGE_ID": Topic.STAGED.message_id,
            "TIDEGATE_TOPIC": "staged",
            "TIDEGATE_RELEASE": "2",
            "TIDEGATE_STATE": "staged",
        }
    ]


def test_a_decision_that_is_taken_again_and_again_is_counted(
    sink: Kept, journal_log: JournalLog, clock: FakeClock
) -> None:
    off = Announce(Topic.CALLED_OFF, NOTICE, "called off: shut", "2")
    for _ in range(3):
        journal_log.write_decision(off, "staged")
        journal_log.write_decision(Announce(Topic.STAGED, NOTICE, "called off: shut", "2"), "staged")  # another topic
        clock.advance(60)
    assert sink.messages == ["called off: shut"] * 2
    clock.advance(HOUR_SECS)
    journal_log.write_decision(off, "paused")
    assert sink.messages[2:] == [
        "called off: shut (2 times since 2026-03-02T10:00:00Z)",
        "called off: shut (3 times since 2026-03-02T10:00:00Z)",
    ]
    assert sink.entries[-1]["TIDEGATE_STATE"] == "paused"


def test_what_is_held_back_is_told_when_the_agent_ends(sink: Kept, journal_log: JournalLog) -> None:
    for _ in range(4):
        journal_log.write_decision(Announce(Topic.REBOOT_FAILED, ERROR, "no"), "staged")
    journal_log.close()
    assert sink.messages == ["no", "no (3 times since 2026-03-02T10:00:00Z)"]
    assert sink.entries[-1]["MESSAGE_ID"] == Topic.REBOOT_FAILED.message_id


@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.DEBUG, "6"), (logging.INFO, "5"), (logging.WARNING, "4"), (logging.ERROR, "3"), (logging.CRITICAL, "2")],
)
def test_a_log_line_is_an_entry_with_the_priority_of_its_level(
    sink: Kept, log: logging.Logger, level: int, priority: str
) -> None:
    log.log(level, "refused %s", "check")
    assert sink.entries == [{"MESSAGE": "refused check", "PRIORITY": priority, "LOGGER": "tidegate.test"}]


def test_a_line_is_told_as_it_is_where_the_process_sets_up_logging(
    sink: Kept, journal_log: JournalLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "root", logging.RootLogger(logging.WARNING))
    logging.basicConfig(level=logging.INFO, handlers=[LogHandler(journal_log)])
    logging.info("check asked for by root")
    assert sink.messages == ["check asked for by root"]


def test_a_flood_from_one_place_in_the_code_leaves_room_for_the_others(sink: Kept, log: logging.Logger) -> None:
    for number in range(500):
        log.warning("refused check to nobody (pid %d)", number)
    log.warning("something else")
    assert len(sink.entries) < 100
    assert sink.messages[-1] == "something else"


def test_a_traceback_belongs_to_its_message(sink: Kept, log: logging.Logger) -> None:
    try:
        raise RuntimeError("http://bob:secret@host/x is broken")
    except RuntimeError:
        log.exception("a defect")
    (message,) = sink.messages
    assert message.startswith("a defect\nTraceback")
    assert "http://***@host/x is broken" in message
    assert "secret" not in message


def test_a_line_that_cannot_be_made_hits_nobody(
    sink: Kept, log: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    log.warning("%d", "no number")
    log.warning("and on")
    assert sink.messages == ["and on"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("at https://u:p@host/v1: no", "at https://***@host/v1: no"),
        ("two http://a@h, 'http://b:c@i/x'", "two http://***@h, 'http://***@i/x'"),
        ("mail bob@example.com about http://host/a@b", "mail bob@example.com about http://host/a@b"),
        ("staged 2", "staged 2"),
    ],
)
def test_addresses_are_told_without_passwords(text: str, shown: str, sink: Kept, journal_log: JournalLog) -> None:
    assert masked(text) == shown
    journal_log.write_decision(Announce(Topic.CHECK_FAILED, ERROR, text), "steady")
    assert sink.messages == [shown]
