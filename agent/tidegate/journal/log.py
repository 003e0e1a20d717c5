"""The log of a process: the machine's decisions and the lines of Python's logging, in one sink.

A decision is one entry: what was decided and why, the kind of decision as ``MESSAGE_ID``, and ``TIDEGATE_TOPIC``,
``TIDEGATE_RELEASE`` and ``TIDEGATE_STATE`` to search by. Repeated lines are suppressed (:mod:`.dedup`), and user and
password are removed from every URL, wherever in a message it stands.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable

from tidegate.clock import Clock
from tidegate.journal.dedup import Line, Repeats
from tidegate.journal.native import Sink, sink_of_process
from tidegate.machine.effects import Announce
from tidegate.printable import visible, without_password

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]+")

_PRIORITIES = {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 5}
_DEBUG = 6


def log_to_journal(clock: Clock) -> JournalLog:
    """Send what this process logs to the journal, from level INFO on; return the log, for decisions.

    What was suppressed is written when Python's logging shuts down, at the end of the process.
    """
    journal_log = JournalLog(sink_of_process(), clock)
    logging.basicConfig(level=logging.INFO, handlers=[LogHandler(journal_log)])
    return journal_log


class JournalLog:
    """Writes lines to ``sink`` and suppresses repeated ones. A process has one, so that each is counted once."""

    def __init__(self, sink: Sink, clock: Clock) -> None:
        self._sink = sink
        self._clock = clock
        self._repeats = Repeats()

    def write_decision(self, announce: Announce, state: str) -> None:
        """Write a decision of the machine; ``state`` is the agent's public state after it."""
        fields = {
            "MESSAGE_ID": announce.topic.message_id,
            "TIDEGATE_TOPIC": announce.topic,
            "TIDEGATE_RELEASE": announce.release,
            "TIDEGATE_STATE": state,
        }
        self.write(Line(announce.topic, announce.level, announce.text, fields))

    def write(self, line: Line) -> None:
        """Write ``line``, unless it repeats one of the last hour."""
        self._write(self._repeats.pass_on(line, self._clock.now()))

    def close(self) -> None:
        """Write the summaries of what was suppressed."""
        self._write(self._repeats.rest())

    def _write(self, lines: Iterable[Line]) -> None:
        for line in lines:
            text = "\n".join(map(visible, masked(line.text).split("\n")))  # a traceback keeps its lines
            fields = {name: visible(value) for name, value in line.fields.items()}
            self._sink.write({"MESSAGE": text, "PRIORITY": str(line.priority), **fields})


class LogHandler(logging.Handler):
    """Passes the records of Python's logging to a :class:`JournalLog`; each place in the code is one source."""

    def __init__(self, journal_log: JournalLog) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter())  # basicConfig()'s would prefix level and logger, which are fields
        self._journal_log = journal_log

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record, with its traceback where it has one."""
        try:
            priority = _PRIORITIES.get(record.levelno, _DEBUG)
            source = f"{record.pathname}:{record.lineno}"
            self._journal_log.write(Line(source, priority, self.format(record), {"LOGGER": record.name}))
        except Exception:  # noqa: BLE001 - as in every handler: a bad format must not raise in the code that logs
            self.handleError(record)

    def close(self) -> None:
        """Write the summaries of what was suppressed; ``logging.shutdown`` calls this at the end of the process."""
        self._journal_log.close()
        super().close()


def masked(text: str) -> str:
    """Return ``text`` without user and password in its URLs."""
    return _URL.sub(lambda found: without_password(found[0]), text)
