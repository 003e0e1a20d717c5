"""Suppress repeated log lines: those that repeat within an hour are counted, and written once at its end. Pure.

The machine announces most things when they begin and when they end, and nothing in between. Repetition comes from
clients that ask the same again and again, from defects that hit every task, and from unknown callers on the bus; each
of them could fill the journal. A line is compared with those of its *source*: one place in the code, or one topic of
the machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from tidegate.clock import Now, rfc3339

WINDOW_SECS = 3600.0
"""Long enough for a day of the same error to fit on a screen, short enough to see that it persists."""

MAX_TEXTS = 50
"""Different lines of one source in a window; those beyond are only counted."""

MAX_SOURCES = 256
"""More than there are places in the code that log."""


def _no_fields() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Line:
    """One line to log: ``priority`` as in syslog(3), ``fields`` for the journal beside message and priority."""

    source: str
    priority: int
    text: str
    fields: Mapping[str, str] = field(default_factory=_no_fields)


@dataclass(slots=True)
class _Window:
    """The lines of a source since ``began``: those that were written, and how often each was repeated.

    ``dropped`` counts the lines beyond :data:`MAX_TEXTS`; ``last_dropped`` is the newest of them.
    """

    began: Now
    lines: dict[str, Line]
    counts: dict[str, int]
    dropped: int = 0
    last_dropped: Line | None = None


class Repeats:
    """Decides which lines are written. Its memory is bounded, however much is logged."""

    def __init__(self) -> None:
        self._windows: dict[str, _Window] = {}

    def pass_on(self, line: Line, now: Now) -> tuple[Line, ...]:
        """Return ``line`` if it is to be written now, and before it the summaries of windows that have ended."""
        again = self._repetitions(line, now)
        late = tuple(self.overdue(now))
        return (*late, replace(line, text=line.text + again)) if self._is_news(line, now) else late

    def overdue(self, now: Now) -> Iterator[Line]:
        """Return the summaries of windows that have ended, which are then forgotten."""
        over = [source for source, window in self._windows.items() if _is_over(window, now)]
        for source in over:
            yield from _summaries(self._windows.pop(source))

    def rest(self) -> Iterator[Line]:
        """Return the summaries of all windows, at the end of the process."""
        while self._windows:
            yield from _summaries(self._windows.pop(next(iter(self._windows))))

    def _repetitions(self, line: Line, now: Now) -> str:
        """The suffix for a line that was repeated in the window before, whose summary then leaves it out."""
        window = self._windows.get(line.source)
        count = window.counts.pop(line.text, 0) if window is not None and _is_over(window, now) else 0
        return f" ({count + 1} times since {rfc3339(window.began.wall)})" if window is not None and count else ""

    def _is_news(self, line: Line, now: Now) -> bool:
        window = self._window_of(line.source, now)
        if line.text in window.lines:
            window.lines[line.text] = line
            window.counts[line.text] += 1
            return False
        if len(window.lines) >= MAX_TEXTS:
            window.dropped, window.last_dropped = window.dropped + 1, line
            return False
        window.lines[line.text], window.counts[line.text] = line, 0
        return True

    def _window_of(self, source: str, now: Now) -> _Window:
        if source not in self._windows:
            if len(self._windows) >= MAX_SOURCES:
                del self._windows[next(iter(self._windows))]  # the oldest; its summary is lost
            self._windows[source] = _Window(now, {}, {})
        return self._windows[source]


def _is_over(window: _Window, now: Now) -> bool:
    return now.boot_secs - window.began.boot_secs >= WINDOW_SECS


def _summaries(window: _Window) -> Iterator[Line]:
    since = rfc3339(window.began.wall)
    for text, count in window.counts.items():
        if count:
            times = "1 time" if count == 1 else f"{count} times"
            yield replace(window.lines[text], text=f"{text} ({times} since {since})")
    if window.last_dropped is not None:
        last = window.last_dropped
        yield replace(last, text=f"{window.dropped} more like this since {since}, the last: {last.text}")
