"""Saying things once: what repeats within an hour is counted and told at its end. Pure.

The machine says most things when they begin and when they end, and nothing in between. What is left are people and
programs that ask the same again and again, defects that hit every task, and strangers on the bus, each of whom could
fill the journal. Lines are held against those of the same *source*: one place in the code, or one topic of the machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from tidegate.clock import Now, rfc3339

WINDOW_SECS = 3600.0
"""Long enough for a day of the same complaint to be a screenful, short enough to see that it still holds."""

MAX_TEXTS = 50
"""Different lines of one source in a window; more is a flood that nobody reads, and is only counted."""

MAX_SOURCES = 256
"""More than there are places in the code that say something."""


def _no_fields() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Line:
    """One thing to say: ``priority`` as syslog has it, ``fields`` for the journal beside message and priority."""

    source: str
    priority: int
    text: str
    fields: Mapping[str, str] = field(default_factory=_no_fields)


@dataclass(slots=True)
class _Window:
    """What a source has said since ``began``: the lines that were told, and how often each came again."""

    began: Now
    lines: dict[str, Line]
    counts: dict[str, int]
    untold: int = 0
    last_untold: Line | None = None


class Repeats:
    """Decides which lines are told. Memory is bounded, whoever says how much."""

    def __init__(self) -> None:
        self._windows: dict[str, _Window] = {}

    def pass_on(self, line: Line, now: Now) -> tuple[Line, ...]:
        """``line`` if it is to be told now; before it, what was held back by windows that are over."""
        again = self._said_again(line, now)
        late = tuple(self.overdue(now))
        return (*late, replace(line, text=line.text + again)) if self._is_news(line, now) else late

    def overdue(self, now: Now) -> Iterator[Line]:
        """What windows that are over have held back."""
        over = [source for source, window in self._windows.items() if _is_over(window, now)]
        for source in over:
            yield from _told(self._windows.pop(source))

    def rest(self) -> Iterator[Line]:
        """All that was held back: nothing follows."""
        while self._windows:
            yield from _told(self._windows.pop(next(iter(self._windows))))

    def _said_again(self, line: Line, now: Now) -> str:
        """What is to be added to a line that was told in the window before, which then has no more to say of it."""
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
            window.untold, window.last_untold = window.untold + 1, line
            return False
        window.lines[line.text], window.counts[line.text] = line, 0
        return True

    def _window_of(self, source: str, now: Now) -> _Window:
        if source not in self._windows:
            if len(self._windows) >= MAX_SOURCES:
                del self._windows[next(iter(self._windows))]  # the oldest; what it held back is not told
            self._windows[source] = _Window(now, {}, {})
        return self._windows[source]


def _is_over(window: _Window, now: Now) -> bool:
    return now.boot_secs - window.began.boot_secs >= WINDOW_SECS


def _told(window: _Window) -> Iterator[Line]:
    since = rfc3339(window.began.wall)
    for text, count in window.counts.items():
        if count:
            yield replace(window.lines[text], text=f"{text} ({count} times since {since})")
    if window.last_untold is not None:
        last = window.last_untold
        yield replace(last, text=f"{window.untold} more like this since {since}, the last: {last.text}")
