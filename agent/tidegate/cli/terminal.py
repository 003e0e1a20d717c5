"""Lines for people: wrapped to the width of a terminal, with the words that matter in colour.

Where standard output is no terminal, a line stays a line: for grep, logs and programs.
"""

from __future__ import annotations

import os
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from typing import TextIO

import click

from tidegate.printable import visible

MIN_COLUMNS = 40
"""On narrower terminals, wrapping would leave no room for words beside the indent."""

NO_MARKS: Mapping[str, str] = {}

Marks = Mapping[str, str]
"""Words, and the colour in which the first of them in a line is shown; ``bold`` is one of the colours."""


def show(lines: Iterable[str], *, hang: int, marks: Marks = NO_MARKS, err: bool = False) -> None:
    """Print lines on standard output, or standard error; where one continues, it is indented by ``hang`` columns.

    What they quote of others cannot control the terminal. A full disk behind standard error is no reason to fail.
    """
    with suppress(OSError) if err else nullcontext():
        click.echo("\n".join(fitted(lines, hang=hang, marks=marks, err=err)), err=err)


def fitted(lines: Iterable[str], *, hang: int, marks: Marks = NO_MARKS, err: bool = False) -> Iterator[str]:
    """The lines as standard output, or standard error, should have them."""
    stream = sys.stderr if err else sys.stdout
    return rendered(lines, hang=hang, columns=columns(stream), marks=marks if in_colour(stream) else NO_MARKS)


def rendered(lines: Iterable[str], *, hang: int, columns: int | None, marks: Marks = NO_MARKS) -> Iterator[str]:
    """The lines, wrapped to ``columns`` unless that is None, with their marks in colour."""
    for line in map(visible, lines):
        first, *others = [line] if columns is None else wrapped(line, hang=hang, columns=columns)
        yield _marked(first, marks)
        yield from others


def wrapped(line: str, *, hang: int, columns: int) -> Sequence[str]:
    """Break a line between words. Words are not broken, so that paths and commands can be copied."""
    at_least = max(columns, MIN_COLUMNS)
    indent = " " * min(hang, at_least // 2)
    parts = textwrap.wrap(
        line, at_least, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False, tabsize=8
    )
    return parts or [""]


def columns(stream: TextIO) -> int | None:
    """The width of the terminal that ``stream`` is; None if it is none."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError):  # no terminal; or no file, as in tests
        return None


def in_colour(stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether to use colour: on a terminal that has some, unless NO_COLOR (no-color.org) says otherwise."""
    return stream.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


def _marked(line: str, marks: Marks) -> str:
    if not marks:
        return line
    words = "|".join(re.escape(word) for word in sorted(marks, key=len, reverse=True))
    return re.sub(rf"(?<!\S)(?:{words})(?!\S)", lambda found: _styled(found[0], marks[found[0]]), line, count=1)


def _styled(word: str, colour: str) -> str:
    return click.style(word, bold=True) if colour == "bold" else click.style(word, fg=colour, bold=True)
