"""The man pages: they name all that the command has and nothing else, and no program that shows them complains."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tidegate.cli import exits, roff
from tidegate.cli.entry import INTERNAL, cli

MANUALS = sorted((Path(__file__).resolve().parents[3] / "contrib/man").glob("*.md"))
TEXT = "\n".join(manual.read_text(encoding="utf-8") for manual in MANUALS)
LITERALS = re.findall(r"`([^`]+)`", TEXT)

# Options of other programs, which the pages tell people to use.
OTHERS = {"--help", "--list"}
MAN_SECS = 60.0


def commands(group: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if name in INTERNAL:
            continue
        if isinstance(command, click.Group):
            yield from commands(command, f"{path}{name} ")
        else:
            yield f"{path}{name}", command


def options_of(command: click.Command) -> set[str]:
    options = (one for one in command.params if isinstance(one, click.Option) and not one.hidden)
    return {name for option in options for name in (*option.opts, *option.secondary_opts) if name.startswith("--")}


COMMANDS = dict(commands(cli))
"""By the words after ``tidegate``; processes are systemd's to start."""

_OURS = ("tidegate", "-", *COMMANDS)
NAMED_OPTIONS = {
    option
    for text in LITERALS
    if text.startswith(_OURS)  # not the command line of another program
    for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)
}


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_and_option_is_in_a_page(path: str) -> None:
    named = any(re.match(rf"(?:tidegate )?{path}\b", text) for text in LITERALS)
    assert named or f"**{path}**" in TEXT, path
    assert options_of(COMMANDS[path]) - NAMED_OPTIONS == set()


def test_the_pages_name_no_option_that_no_command_has() -> None:
    context = click.Context(cli)
    processes = [command for name in INTERNAL if (command := cli.get_command(context, name))]
    existing = {option for command in (cli, *processes, *COMMANDS.values()) for option in options_of(command)}
    assert NAMED_OPTIONS - existing - OTHERS == set()


def test_the_exit_codes_are_those_of_the_command() -> None:
    page = next(manual for manual in MANUALS if manual.name == "tidegate.1.md").read_text(encoding="utf-8")
    section = page.partition("\n## EXIT CODES\n")[2].partition("\n## ")[0]
    told = {int(code) for code in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)}
    assert told == {exits.DONE, exits.FAILED, exits.USAGE, exits.REFUSED, exits.UNREACHABLE}


@pytest.mark.parametrize("manual", MANUALS, ids=lambda manual: manual.stem)
def test_the_programs_that_show_it_do_not_complain(manual: Path, tmp_path: Path) -> None:
    page = tmp_path / manual.stem
    page.write_text(roff.page(manual.read_text(encoding="utf-8")), encoding="utf-8")
    for argv in (
        ("man", "--warnings", "--encoding=UTF-8", "--local-file", str(page)),
        ("mandoc", "-T", "lint", "-W", "warning", str(page)),
    ):
        if shutil.which(argv[0]) is None:
            pytest.skip(f"{argv[0]} is not installed: apt-get install man-db groff-base mandoc")
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "MANWIDTH": "80"}
        done = subprocess.run(argv, capture_output=True, text=True, env=environment, timeout=MAN_SECS, check=False)
        said = done.stderr if argv[0] == "man" else done.stdout
        # A page is as old as the program whose version it comes with.
        assert [line for line in said.splitlines() if "missing date" not in line] == []


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
