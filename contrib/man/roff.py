"""Compile the man pages of this folder from Markdown to roff: ``roff.py OUTDIR`` writes ``OUTDIR/man1/tidegate.1`` ...

A step of the build, of the wheel (build_hook.py) and of the Debian packages (debian/rules): hosts get roff. It needs
Python alone, and the same Markdown gives the same bytes.

The compiler supports the Markdown that these pages use: headings, paragraphs, lists, definitions, tables, indented
code, and emphasis, strong and literal words. Any other markup is copied as plain text. A page begins with
``# NAME(SECTION): DESCRIPTION``, or with ``% NAME(SECTION)`` and a NAME section of its own. The output uses man(7) and
tbl(1), as man-db and mandoc both support them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

_TITLE = re.compile(r"(?:#|%) (?P<name>[\w-]+)\((?P<section>\d)\)(?:: (?P<text>.*))?")
_HEADING = re.compile(r"(#+) (.*)")
_ITEM = re.compile(r"(?:[-*]|\d+\.) ")
_CODE_COLUMNS = 4
_SPAN = re.compile(r"`(?P<code>[^`]+)`|\*\*(?P<strong>.+?)\*\*|\*(?P<emphasis>[^*]+)\*")

_BULLET = "\\(bu"
_BREAK = "\\:"  # allows a line break, for paths in narrow columns
_SYNOPSIS = "SYNOPSIS"

Block = Sequence[str]


def main(outdir: Path) -> None:
    """Compile every ``NAME.SECTION.md`` beside this file into ``outdir``."""
    for source in sorted(Path(__file__).parent.glob("*.md")):
        target = outdir / place_of(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(page(source.read_text(encoding="utf-8")), encoding="utf-8")


def place_of(source: Path) -> Path:
    """The place of the compiled page below ``/usr/share/man``: ``man1/tidegate.1`` for ``tidegate.1.md``."""
    return Path(f"man{source.stem[-1]}", source.stem)


def page(markdown: str) -> str:
    """Compile one page.

    Raises:
        ValueError: ``markdown`` does not begin with a title.
    """
    lines = markdown.splitlines()
    title = _TITLE.fullmatch(lines[0]) if lines else None
    if title is None:
        raise ValueError("a page begins with '# NAME(SECTION): DESCRIPTION' or '% NAME(SECTION)'")
    head = ["'\\\" t", f'.TH {title["name"].upper()} {title["section"]} "" "" Tidegate']
    if title["text"]:
        head += [".SH NAME", f"{title['name']} \\- {_text(title['text'])}"]
    return "\n".join([*head, *_body(lines[1:])]) + "\n"


def _body(lines: Sequence[str]) -> Iterator[str]:
    top = min((len(found[1]) for line in lines if (found := _HEADING.match(line))), default=1)
    section = ""
    begins = False
    for block in _blocks(lines):
        if found := _HEADING.fullmatch(block[0]):
            section = found[2]
            yield f".{'SH' if len(found[1]) == top else 'SS'} {_text(section)}"
        else:
            rendered = _synopsis(block) if section == _SYNOPSIS else _render(block)
            yield from _without_first(".PP", rendered) if begins else rendered
        begins = found is not None


def _without_first(request: str, lines: Iterator[str]) -> Iterator[str]:
    """Drop the request that a section heading implies."""
    return (line for number, line in enumerate(lines) if number > 0 or line != request)


def _blocks(lines: Sequence[str]) -> Iterator[Block]:
    """Split at empty lines. Code with empty lines in it becomes several blocks, which are shown alike."""
    for blank, block in groupby(lines, key=lambda line: not line.strip()):
        if not blank:
            yield from _split(list(block))


def _split(block: list[str]) -> Iterator[Block]:
    """Split headings from text that follows them without an empty line."""
    while block and _HEADING.fullmatch(block[0]):
        yield [block.pop(0)]
    if block:
        yield block


def _render(block: Block) -> Iterator[str]:
    if block[0].startswith(" " * _CODE_COLUMNS):
        return _code(block)
    if block[0].startswith("|"):
        return _table(block)
    if _ITEM.match(block[0]):
        return _items(block)
    if len(block) > 1 and any(line.startswith(": ") for line in block):
        return _definitions(block)
    if block[0].startswith("  "):  # a further paragraph of a definition
        return iter([".IP", _text(_joined(block))])
    return iter([".PP", _text(_joined(block))])


def _synopsis(block: Block) -> Iterator[str]:
    """One line for each form of the command."""
    for number, line in enumerate(block):
        yield ".PP" if number == 0 else ".br"
        yield _text(line)


def _code(block: Block) -> Iterator[str]:
    yield from (".IP", ".nf")
    yield from (_guarded(_escaped(line[_CODE_COLUMNS:])) for line in block)
    yield ".fi"


def _items(block: Block) -> Iterator[str]:
    for item in _starting(block, lambda line: bool(_ITEM.match(line))):
        mark, _, rest = item[0].partition(" ")
        yield f".IP {mark if mark[0].isdigit() else _BULLET} 4"
        yield _text(_joined([rest, *item[1:]]))


def _definitions(block: Block) -> Iterator[str]:
    """Definition lists: a line with the term, then lines that begin with a colon and explain it."""
    meaning: list[str] = []
    for line in block:
        if line.startswith((": ", "  ")):
            meaning.append(line[2:])
            continue
        if meaning:
            yield _text(_joined(meaning))
        meaning = []
        yield from (".TP", _text(line))
    yield _text(_joined(meaning))


def _table(block: Block) -> Iterator[str]:
    """A table for tbl(1). Columns of long text share the width that the others leave, and wrap."""
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in block]
    head, body = rows[0], rows[2:]
    wraps = [_wraps(column) for column in zip(*body, strict=True)]
    yield from (".PP", ".na", ".TS", "nokeep;")  # on paper it may go over two pages
    yield " ".join("lB" for _ in head)
    yield " ".join("lx" if wrap else "l" for wrap in wraps) + "."
    for row in (head, *body):
        yield "\t".join(_cell(cell, wrap=wrap) for cell, wrap in zip(row, wraps, strict=True))
    yield from (".TE", ".ad")


def _cell(markdown: str, *, wrap: bool) -> str:
    return f"T{{\n{_text(markdown)}\nT}}" if wrap else _text(markdown)


def _wraps(column: Sequence[str]) -> bool:
    return any(len(cell) > _UNWRAPPED_COLUMNS and " " in cell for cell in column)


_UNWRAPPED_COLUMNS = 20
"""Three columns of this width leave room for a fourth on a terminal of 80 columns."""


def _starting(block: Block, begins: Callable[[str], bool]) -> Iterator[Block]:
    item: list[str] = []
    for line in block:
        if begins(line) and item:
            yield item
            item = []
        item.append(line)
    yield item


def _joined(lines: Sequence[str]) -> str:
    return " ".join(line.strip() for line in lines)


def _text(markdown: str) -> str:
    """Inline markup: literal and strong words become bold, emphasis italic."""
    parts: list[str] = []
    end = 0
    for span in _SPAN.finditer(markdown):
        parts += [_escaped(markdown[end : span.start()]), _span(span)]
        end = span.end()
    return _guarded("".join([*parts, _escaped(markdown[end:])]))


def _span(span: re.Match[str]) -> str:
    if span["emphasis"]:
        return f"\\fI{_escaped(span['emphasis'])}\\fR"
    literal = _escaped(span["code"] or span["strong"].replace("`", ""))
    return f"\\fB{literal.replace('/', '/' + _BREAK)}\\fR"


def _escaped(text: str) -> str:
    """Escape characters that roff would typeset, so that commands can be copied from the page into a shell."""
    replaced = text.replace("\\", "\\e").replace("-", "\\-")
    return replaced.translate({0x27: "\\(aq", 0x5E: "\\(ha", 0x60: "\\(ga", 0x7E: "\\(ti"})


def _guarded(line: str) -> str:
    """Protect a line that begins with a dot or a quote, which roff would read as a request."""
    return f"\\&{line}" if line.startswith((".", "'")) else line


if __name__ == "__main__":
    main(Path(sys.argv[1]))
