"""Print to a terminal that other people's text must not control: the one place through which commands print.

What a command shows comes from the agent, a coordinator, a lock server, a graph or a file, and each may be false. A
control sequence in it could rewrite the screen, and a line break forge a line. Both are printed as escapes.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, TextIO

import click

from tidegate.printable import visible

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

CLEAR = "\033[H\033[2J"
"""Clears a terminal; the one control sequence that commands print themselves."""


class UnwritableError(OSError):
    """Standard output cannot be written: its disk is full, or its reader has gone."""


def guard_stdout() -> None:
    """Let the errors of standard output be :class:`UnwritableError`, apart from those of all other files."""
    before: TextIO | None = sys.stdout  # None where it was closed
    if before is not None:
        raw = io.BufferedWriter(_Stdout(before.fileno(), "wb", closefd=False))
        sys.stdout = io.TextIOWrapper(raw, before.encoding, "backslashreplace", line_buffering=before.isatty())


class _Stdout(io.FileIO):
    """Writes until the first error. What comes after it is dropped, since Python flushes once more at exit."""

    _failed = False

    def write(self, data: ReadableBuffer, /) -> int:
        if self._failed:
            return memoryview(data).nbytes
        try:
            return super().write(data)
        except OSError as err:
            self._failed = True
            raise UnwritableError(err.errno, err.strerror) from err


def line(text: object, *, err: bool = False) -> None:
    """Print ``text`` on one line; to standard error if ``err``, where a full disk is no reason to fail."""
    with suppress(OSError) if err else nullcontext():
        click.echo(visible(str(text)), err=err)


def lines(texts: Iterable[str]) -> None:
    """Print each of ``texts`` on a line of its own, all at once."""
    click.echo(_joined(texts))


def screen(texts: Iterable[str]) -> None:
    """Clear the terminal, and print each of ``texts`` on a line of its own."""
    click.echo(f"{CLEAR}{_joined(texts)}", color=True)


def document(value: object, indent: int | None = 1) -> None:
    """Print JSON, in which everything beyond ASCII is escaped."""
    click.echo(json.dumps(value, indent=indent))


def text(block: str, *, err: bool = False) -> None:
    """Print a text of several lines that ends without a line break, such as a snippet; its lines are our own."""
    lines_of = "\n".join(map(visible, block.split("\n")))
    click.echo(lines_of, err=err)


def _joined(texts: Iterable[str]) -> str:
    return "\n".join(map(visible, texts))
