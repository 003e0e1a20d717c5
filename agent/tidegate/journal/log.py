"""What the process says, written down: the machine's decisions and everybody's log lines, to one sink.

A decision is one entry: what was decided and why, the kind of decision as ``MESSAGE_ID``, and ``TIDEGATE_TOPIC``,
``TIDEGATE_RELEASE`` and ``TIDEGATE_STATE`` to search by. Repeats are held back
(:mod:`.dedup`), and what looks like an address is told without user and password, whoever put it into a message.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable

from tidegate.clock import Clock
from tidegate.journal.dedup import Line, Repeats
from tidegate.journal.native import Sink
from tidegate.machine.effects import Announce
from tidegate.printable import without_password

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]+")

_PRIORITIES = {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 5}
_DEBUG = 6


class JournalLog:
    """Writes lines to ``sink``, each once."""

    def __init__(self, sink: Sink, clock: Clock) -> None:
        self._sink = sink
        self._clock = clock
        self._repeats = Repeats()

    def tell(self, announce: Announce, state: str) -> None:
        """A decision of the machine; ``state`` is what the agent is doing from then on (``summary.public_state``)."""
        fields = {
            "MESSAGE_ID": announce.topic.message_id,
            "TIDEGATE_TOPIC": announce.topic,
            "TIDEGATE_RELEASE": announce.release,
            "TIDEGATE_STATE": state,
        }
        self.say(Line(announce.topic, announce.level, announce.text, fields))

    def say(self, line: Line) -> None:
        """Any line."""
        self._write(self._repeats.pass_on(line, self._clock.now()))

    def close(self) -> None:
        """Tell what was held back."""
        self._write(self._repeats.rest())

    def _write(self, lines: Iterable[Line]) -> None:
        for line in lines:
            self._sink.write({"MESSAGE": masked(line.text), "PRIORITY": str(line.priority), **line.fields})


class LogHandler(logging.Handler):
    """Takes what the parts of the process log. Lines from one place in the code are of one source."""

    def __init__(self, journal_log: JournalLog) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter())  # basicConfig()'s would lead each by level and logger: these are fields
        self._journal_log = journal_log

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; with its traceback where it has one."""
        try:
            priority = _PRIORITIES.get(record.levelno, _DEBUG)
            source = f"{record.pathname}:{record.lineno}"
            self._journal_log.say(Line(source, priority, self.format(record), {"LOGGER": record.name}))
        except Exception:  # noqa: BLE001 - as every handler: a message that cannot be made must not hit who logs it
            self.handleError(record)

    def close(self) -> None:
        """Tell what was held back; logging does this at the end of the process."""
        self._journal_log.close()
        super().close()


def masked(text: str) -> str:
    """``text`` whose addresses are without user and password."""
    return _URL.sub(lambda found: without_password(found[0]), text)
