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

from contrib.man import roff
from tidegate.cli import exits
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
