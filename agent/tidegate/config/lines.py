"""Find the lines of keys in a TOML document, which tomli reports for syntax errors only.

The scanner runs when a problem or an origin is to be shown. It assumes that the text is TOML up to where tomli failed,
so it needs to know where a value ends, but not what it means.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from tidegate.config.problems import Path

MAX_PARTS = 256
"""No key has as many parts. Of a longer one the first ones are indexed, so that a key of thousands takes no time."""

MAX_INLINE_DEPTH = 4
"""No key is nested deeper in arrays and inline tables. Values beyond this depth are skipped as a whole."""

_BASIC = r'"(?:[^"\\\n]|\\.)*+"'
_LITERAL = r"'[^'\n]*+'"
_LONG_BASIC = r'"""(?:\\.|"{1,2}(?!")|[^"\\])*+"{3,5}'
_LONG_LITERAL = r"'''(?:'{1,2}(?!')|[^'])*+'{3,5}"
_STRING = f"{_LONG_BASIC}|{_LONG_LITERAL}|{_BASIC}|{_LITERAL}"

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*+)*+")
_SPACE = re.compile(r"[ \t]*+")
_KEY_PART = re.compile(rf"[ \t]*+([A-Za-z0-9_-]++|{_BASIC}|{_LITERAL})[ \t]*+")
_SCALAR = re.compile(rf"{_STRING}|[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}} [0-9][^\s,\]}}#]*+|[^\s,\[\]{{}}#=\"']++", re.DOTALL)
_NESTED_TOKEN = re.compile(rf"{_STRING}|#[^\n]*+|[\[\]{{}}]|[^\[\]{{}}#\"']++", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Repeat:
    """A key or table that is defined again."""

    path: Path
    line: int
    first_line: int


@dataclass(slots=True)
class Index:
    """The line of the first mention of each path, counted from 1; and the repeated definitions."""

    lines: dict[Path, int] = field(default_factory=dict[Path, int])
    repeats: list[Repeat] = field(default_factory=list[Repeat])

    def line(self, path: Path) -> int | None:
        """The line of ``path``, or of its longest prefix that is in the text; None without any."""
        for length in range(min(len(path), MAX_PARTS), 0, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return None

    def last_path(self, line: int) -> Path | None:
        """The last path that begins at ``line`` or before; None without any."""
        found = None
        for path, at in self.lines.items():
            if at <= line:
                found = path
        return found


def index(text: str) -> Index:
    """Index ``text`` up to the first place that is not TOML."""
    scanner = _Scanner(text)
    found = Index()
    given: dict[Path, int] = {}
    for path, line, complete in scanner.statements():
        for length in range(1, min(len(path), MAX_PARTS) + 1):
            found.lines.setdefault(path[:length], line)
        if complete and given.setdefault(path, line) != line:
            found.repeats.append(Repeat(path, line, given[path]))
    return found


class _StopError(Exception):
    """The text is not TOML from here on."""


# A path, its line, and whether it is defined completely here (an array of tables is not by one of its elements).
_Mention = tuple[Path, int, bool]


class _Scanner:
    """A cursor that walks over the statements of a text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._counted_to = 0
        self._elements: dict[Path, int] = {}

    def statements(self) -> Iterator[_Mention]:
        table: Path = ()
        try:
            while self._past_blank() < len(self._text):
                if self._text[self._at] == "[":
                    mention = self._header()
                    table = mention[0]
                    yield mention
                else:
                    yield from self._pair(table, 0)
        except _StopError:
            return

    def _past_blank(self) -> int:
        self._take(_BLANK)
        return self._at

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str]:
        match = pattern.match(self._text, self._at)
        if match is None:
            raise _StopError
        self._at = match.end()
        return match

    def _line_here(self) -> int:
        self._line += self._text.count("\n", self._counted_to, self._at)
        self._counted_to = self._at
        return self._line

    def _expect(self, sign: str) -> None:
        if not self._text.startswith(sign, self._at):
            raise _StopError
        self._at += len(sign)

    def _key(self) -> tuple[str, ...]:
        parts = [_unquoted(self._take(_KEY_PART)[1])]
        while self._text.startswith(".", self._at):
            self._at += 1
            parts.append(_unquoted(self._take(_KEY_PART)[1]))
        return tuple(parts[:MAX_PARTS])

    def _header(self) -> _Mention:
        line = self._line_here()
        doubled = self._text.startswith("[[", self._at)
        self._at += 1 + doubled
        parts = self._key()
        self._expect("]" * (1 + doubled))
        path = self._resolved(parts[:-1])
        if not doubled:
            return (*path, parts[-1]), line, True
        return self._next_element((*path, parts[-1])), line, False

    def _resolved(self, parts: Path) -> Path:
        """``parts``, with the index of the last element so far after each array of tables."""
        path: Path = ()
        for part in parts:
            path = (*path, part)
            if path in self._elements:
                path = (*path, self._elements[path])
        return path

    def _next_element(self, path: Path) -> Path:
        self._elements[path] = self._elements.get(path, -1) + 1
        return (*path, self._elements[path])

    def _pair(self, table: Path, depth: int) -> Iterator[_Mention]:
        line = self._line_here()
        path = (*table, *self._key())
        self._expect("=")
        yield path, line, True
        yield from self._value(path, depth)

    def _value(self, path: Path, depth: int) -> Iterator[_Mention]:
        self._take(_SPACE)
        sign = self._text[self._at : self._at + 1]
        if sign not in {"[", "{"}:
            self._take(_SCALAR)
        elif depth >= MAX_INLINE_DEPTH:
            self._skip_nested()
        else:
            yield from self._array(path, depth + 1) if sign == "[" else self._inline_table(path, depth + 1)

    def _array(self, path: Path, depth: int) -> Iterator[_Mention]:
        self._expect("[")
        element = 0
        while not self._text.startswith("]", self._past_blank()):
            yield (*path, element), self._line_here(), False
            yield from self._value((*path, element), depth)
            element += 1
            self._comma_or("]")
        self._expect("]")

    def _inline_table(self, path: Path, depth: int) -> Iterator[_Mention]:
        self._expect("{")
        while not self._text.startswith("}", self._past_blank()):
            yield from self._pair(path, depth)
            self._comma_or("}")
        self._expect("}")

    def _comma_or(self, end: str) -> None:
        if not self._text.startswith(end, self._past_blank()):
            self._expect(",")

    def _skip_nested(self) -> None:
        open_brackets = 0
        while True:
            token = self._take(_NESTED_TOKEN)[0]
            open_brackets += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token, 0)
            if open_brackets == 0:
                return


def _unquoted(part: str) -> str:
    if part[0] == "'":
        return part[1:-1]
    if part[0] != '"':
        return part
    from tomli import TOMLDecodeError, loads  # noqa: PLC0415 - quoted keys are rare

    try:
        return str(loads(f"key={part}")["key"])
    except TOMLDecodeError:
        raise _StopError from None
