"""How the demo talks: chapters, what was typed, what it answered, and what changes meanwhile."""

from __future__ import annotations

import time
from typing import TextIO


class Teller:
    """Writes for a person who watches; plain text where nobody does."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._begun = time.monotonic()
        self._colours = out.isatty()

    def chapter(self, title: str) -> None:
        """A new part of the story."""
        self._write(f"\n{self._styled('1', f'== {title}')}")

    def say(self, text: str) -> None:
        """A sentence of the narrator's."""
        self._write(text)

    def note(self, text: str) -> None:
        """Something that happens meanwhile, with the seconds since the beginning."""
        stamp = self._styled("2", f"[{time.monotonic() - self._begun:6.1f} s]")
        self._write(f"{stamp} {text}")

    def command(self, typed: str, answer: str) -> None:
        """What an administrator types, and what it answers."""
        self._write(f"{self._styled('32', '#')} {self._styled('1', typed)}")
        for line in answer.rstrip("\n").splitlines():
            self._write(f"  {line}")

    def _styled(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colours else text

    def _write(self, line: str) -> None:
        self._out.write(f"{line}\n")
        self._out.flush()
