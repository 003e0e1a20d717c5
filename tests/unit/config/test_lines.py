"""The index of lines against tomli, and against documents whose lines the test knows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest
import tomli
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.config.lines import MAX_INLINE_DEPTH, MAX_PARTS, index
from tidegate.config.problems import Path

# Pieces that look like something else to a scanner that does not know where strings and comments end.
TRICKY = ("[table]", "a = 1", "# no comment", "]]", "{", "}", ",", "x.y = [", "''", '"')
SCALARS = (
    "1",
    "0x1f",
    "-7",
    "1_000.5e3",
    "true",
    "inf",
    "1979-05-27",
    "1979-05-27 07:32:00Z",
    "07:32:00",
    '"a"',
    "'b'",
)


class Writer:
    """Writes a random document and remembers the line of each path."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw
        self.text = ""
        self.lines: dict[Path, int] = {}
        self._names = 0

    def __repr__(self) -> str:
        return repr(self.text)

    def document(self) -> None:
        self._blank()
        for _ in range(self._draw(st.integers(0, 3))):
            self._pair((), 0)
            self._end_line()
        for _ in range(self._draw(st.integers(0, 4))):
            self._table()

    def _table(self) -> None:
        name, text = self._name()
        if self._draw(st.booleans()):
            self._header((name,), f"[{text}]")
            return
        for element in range(self._draw(st.integers(1, 3))):
            self._mention((name,))
            self._header((name, element), f"[[{text}]]")

    def _header(self, path: Path, text: str) -> None:
        self._mention(path)
        self.text += text
        self._end_line()
        for _ in range(self._draw(st.integers(0, 3))):
            self._pair(path, 0)
            self._end_line()
        if self._draw(st.booleans()):
            self._sub_table(path, text)

    def _sub_table(self, path: Path, text: str) -> None:
        name, inner = self._name()
        self._mention((*path, name))
        self.text += f"[{text.strip('[]')} . {inner}]"
        self._end_line()
        self._pair((*path, name), 0)
        self._end_line()

    def _pair(self, table: Path, depth: int) -> None:
        path = table
        for part in range(self._draw(st.integers(1, 2))):
            name, text = self._name()
            path = (*path, name)
            self._mention(path)
            self.text += ("." if part else "") + text
        self.text += self._draw(st.sampled_from((" = ", "=", "\t=\t")))
        self._value(path, depth)

    def _value(self, path: Path, depth: int) -> None:
        kinds = ("scalar", "long", "array", "inline") if depth < MAX_INLINE_DEPTH else ("scalar", "long")
        match self._draw(st.sampled_from(kinds)):
            case "array":
                self._array(path, depth + 1)
            case "inline":
                self._inline(path, depth + 1)
            case "long":
                self._long_string()
            case _:
                self.text += self._draw(st.sampled_from((*SCALARS, *(f"'{one}'" for one in TRICKY if "'" not in one))))

    def _long_string(self) -> None:
        quote = self._draw(st.sampled_from(('"""', "'''")))
        body = "\n".join(self._draw(st.lists(st.sampled_from(TRICKY), max_size=4)))
        self.text += quote + "\n" + body.replace(quote[0], "") + "\n" + quote

    def _array(self, path: Path, depth: int) -> None:
        self.text += "["
        for element in range(self._draw(st.integers(0, 3))):
            self._blank()
            self._mention((*path, element))
            self._value((*path, element), depth)
            self.text += ","
        self._blank()
        self.text += "]"

    def _inline(self, path: Path, depth: int) -> None:
        self.text += "{"
        for pair in range(self._draw(st.integers(0, 2))):
            self.text += ", " if pair else " "
            self._pair(path, depth)
        self.text += " }"

    def _blank(self) -> None:
        self.text += self._draw(st.sampled_from(("", " ", "\n", "\n\n  ", " # a = [\n", "\r\n\t")))

    def _end_line(self) -> None:
        self.text += self._draw(st.sampled_from(("\n", "  # b = {\n", "\n\n", "\r\n")))

    def _name(self) -> tuple[str, str]:
        self._names += 1
        name = f"k{self._names}"
        quoted = {"bare": name, "basic": f'"{name}\\u0041"', "literal": f"'{name} ]'"}
        style = self._draw(st.sampled_from(tuple(quoted)))
        return {"bare": name, "basic": f"{name}A", "literal": f"{name} ]"}[style], quoted[style]

    def _mention(self, path: Path) -> None:
        self.lines.setdefault(path, self.text.count("\n") + 1)


@st.composite
def documents(draw: st.DrawFn) -> Writer:
    writer = Writer(draw)
    writer.document()
    return writer


def paths_of(value: object, at: Path = ()) -> Iterator[Path]:
    if at:
        yield at
    if isinstance(value, dict):
        for name, inner in cast(dict[str, object], value).items():
            yield from paths_of(inner, (*at, name))
    elif isinstance(value, list):
        for element, inner in enumerate(cast(list[object], value)):
            yield from paths_of(inner, (*at, element))


@settings(max_examples=40)
@given(documents())
def test_each_path_is_on_the_line_where_it_was_written(writer: Writer) -> None:
    assert set(paths_of(tomli.loads(writer.text))) == set(writer.lines)
    assert index(writer.text).lines == writer.lines


@settings(max_examples=40)
@given(st.text(alphabet="ab.=[]{}\"'#,\\\n \t1", max_size=60))
def test_what_tomli_accepts_is_indexed_and_nothing_else_raises(text: str) -> None:
    found = index(text)
    try:
        document = tomli.loads(text)
    except tomli.TOMLDecodeError:
        return
    shallow = {path for path in paths_of(document) if sum(isinstance(part, int) for part in path) < MAX_INLINE_DEPTH}
    assert shallow <= set(found.lines)
    assert not found.repeats


def test_values_nested_deeper_than_any_key_are_skipped() -> None:
    found = index(f"a = {'[' * 300}'[', # ]\n{']' * 300}\nb = 1\n")
    assert found.line(("b",)) == 3
    assert found.line(("a", *[0] * 300)) == 1


@pytest.mark.parametrize(
    ("text", "repeated", "line", "first"),
    [
        ("a = 1\n\na = 2\n", ("a",), 3, 1),
        ("[t]\na.b = 1\n'a'.\"b\" = 2\n", ("t", "a", "b"), 3, 2),
        ("[t]\n[u]\n[t]\n", ("t",), 3, 1),
        ("[[t]]\na = 1\n[[t]]\na = 1\na = 2\n", ("t", 1, "a"), 5, 4),
    ],
)
def test_a_repeat_has_both_lines(text: str, repeated: Path, line: int, first: int) -> None:
    with pytest.raises(tomli.TOMLDecodeError):
        tomli.loads(text)
    (found,) = index(text).repeats
    assert (found.path, found.line, found.first_line) == (repeated, line, first)


def test_a_key_of_thousands_of_parts_is_indexed_by_its_first_ones() -> None:
    """Every prefix of such a key would take time and memory by the square of its length."""
    long = ("a",) * 20_000
    found = index(f"{'.'.join(long)} = 1\nb = 1\n")
    assert len(found.lines) == MAX_PARTS + 1
    assert (found.line(long), found.line(("b",))) == (1, 2)
    found = index(f"[{'.'.join(long)}]\nb = 1\n[c]\n")
    assert len(found.lines) == MAX_PARTS + 1
    assert (found.line(long), found.line(("c",))) == (1, 3)
