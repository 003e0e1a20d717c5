"""How the demo talks: chapters, what was typed, what it answered, and what changes meanwhile."""

from __future__ import annotations

from typing import TextIO

from tests.e2e.lab.waiting import monotonic_secs, pause

READING_SECS = 1.0  # between chapters, where a person watches


class Teller:
    """Writes for a person who watches; plain text and no pauses where nobody does."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._begun_secs = monotonic_secs()
        self._watched = out.isatty()

    def chapter(self, title: str) -> None:
        """A new part of the story."""
        if self._watched:
            pause(READING_SECS)
        self._write(f"\n{self._styled('1', f'== {title}')}")

    def say(self, text: str) -> None:
        """A sentence of the narrator's."""
        self._write(text)

    def note(self, text: str) -> None:
        """Something that happens meanwhile, with the seconds since the beginning."""
        stamp = self._styled("2", f"[{self.elapsed_secs:6.1f} s]")
        self._write(f"{stamp} {text}")

    def overheard(self, who: str, said: str) -> None:
        """What a part of the host tells its journal."""
        self.note(f"{self._styled('36', f'{who}:')} {said}")

    def command(self, typed: str, answer: str) -> None:
        """What an administrator types, and what it answers."""
        self._write(f"{self._styled('32', '#')} {self._styled('1', typed)}")
        for line in answer.rstrip("\n").splitlines():
            self._write(f"  {line}")

    @property
    def elapsed_secs(self) -> float:
        """Since the beginning."""
        return monotonic_secs() - self._begun_secs

    def _styled(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._watched else text

    def _write(self, line: str) -> None:
        self._out.write(f"{line}\n")
        self._out.flush()
