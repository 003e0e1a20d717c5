"""The man page compiler: Markdown in, roff out."""

from __future__ import annotations

import pytest

from contrib.man import roff


def body(markdown: str) -> list[str]:
    return roff.page(f"# x(1): does x\n\n{markdown}\n").splitlines()[4:]


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("plain *it* and `a-b` and **b**", [".PP", r"plain \fIit\fR and \fBa\-b\fR and \fBb\fR"]),
        (".dot and 'quote' \\ ^~", [".PP", r"\&.dot and \(aqquote\(aq \e \(ha\(ti"]),
        ("## ONE\n\ntext\n\n## TWO\n\nmore", [".SH ONE", "text", ".SH TWO", "more"]),
        ("## ONE\n\n### SUB\n\ntext", [".SH ONE", ".SS SUB", "text"]),
        ("`a`\n: one\n  two\n\n`b`\n: three", [".TP", r"\fBa\fR", "one two", ".TP", r"\fBb\fR", "three"]),
        ("- one\n  two\n- three", [r".IP \(bu 4", "one two", r".IP \(bu 4", "three"]),
        ("1. one", [".IP 1. 4", "one"]),
        ("    .code -x", [".IP", ".nf", r"\&.code \-x", ".fi"]),
        (
            "| a | b |\n|---|---|\n| `x` | y |",
            [".PP", ".na", ".TS", "nokeep;", "lB lB", "l l.", "a\tb", "\\fBx\\fR\ty", ".TE", ".ad"],
        ),
        ("`/a/b`", [".PP", r"\fB/\:a/\:b\fR"]),
        ("snake_case_name(3) stays", [".PP", "snake_case_name(3) stays"]),
    ],
)
def test_what_becomes_of_markdown(markdown: str, expected: list[str]) -> None:
    assert body(markdown) == expected


def test_each_line_of_a_synopsis_is_a_form_of_its_own() -> None:
    assert body("## SYNOPSIS\n\n`x a`\n`x b`") == [".SH SYNOPSIS", r"\fBx a\fR", ".br", r"\fBx b\fR"]


def test_both_kinds_of_titles() -> None:
    assert roff.page("# x-y(8): does x\n").splitlines()[1:] == [
        '.TH X-Y 8 "" "" Tidegate',
        ".SH NAME",
        r"x-y \- does x",
    ]
    assert roff.page("% x(5)\n\n# NAME\n\nx - y\n").splitlines()[1:] == [
        '.TH X 5 "" "" Tidegate',
        ".SH NAME",
        r"x \- y",
    ]
    with pytest.raises(ValueError, match="begins with"):
        roff.page("plain text\n")
