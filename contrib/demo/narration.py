"""Output of the demo: chapters, commands with their output, and events with their time."""

from __future__ import annotations

from typing import TextIO

from tests.e2e.lab.waiting import monotonic_secs, pause

READING_SECS = 1.0  # before each chapter, on a terminal


class Narrator:
    """Writes to a terminal with styles and pauses, and elsewhere as plain text."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._begun_secs = monotonic_secs()
        self._is_terminal = out.isatty()

    def chapter(self, title: str) -> None:
        """Begin a chapter."""
        if self._is_terminal:
            pause(READING_SECS)
        self._write(f"\n{self._styled('1', f'== {title}')}")

    def say(self, text: str) -> None:
        """Print a sentence."""
        self._write(text)

    def note(self, text: str) -> None:
        """Print an event, with the seconds since the start of the demo."""
        stamp = self._styled("2", f"[{self.elapsed_secs:6.1f} s]")
        self._write(f"{stamp} {text}")

    def journal(self, identifier: str, message: str) -> None:
        """Print a log message of a program."""
        self.note(f"{self._styled('36', f'{identifier}:')} {message}")

    def command(self, command: str, output: str) -> None:
        """Print a shell command and its output."""
        self._write(f"{self._styled('32', '#')} {self._styled('1', command)}")
        for line in output.rstrip("\n").splitlines():
            self._write(f"  {line}")

    @property
    def elapsed_secs(self) -> float:
        """Seconds since the start of the demo."""
        return monotonic_secs() - self._begun_secs

    def _styled(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._is_terminal else text

    def _write(self, line: str) -> None:
        self._out.write(f"{line}\n")
        self._out.flush()
