"""The shipped completions in real shells: what a press of TAB offers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tidegate.cli.entry import COMMANDS

CHECKOUT = Path(__file__).resolve().parents[3]
SCRIPTS = CHECKOUT / "contrib/completions"
SHELLS = ("bash", "fish", "zsh")
SHELL_SECS = 60.0  # a first zsh on a busy machine compiles its functions

# What each shell does at a TAB, without a terminal. $1: the shipped script; $2: the line so far.
BASH = """
. "$1"; read -ra COMP_WORDS <<< "$2"; [ "${2% }" = "$2" ] || COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); compopt() { echo "<$2>"; }
_tidegate_completion tidegate; printf '%s\\n' "${COMPREPLY[@]}"
"""
FISH = 'source $argv[1]; complete --do-complete "$argv[2]"'
ZSH = """
compdef() { :; }
_describe() { print -rl -- ${${(P)3}%%:*} }
compadd() { print -rl -- ${(P)5} }
_path_files() { print "<$1>" }
source $1; words=(${(s: :)2}); [[ $2 == *' ' ]] && words+=(''); CURRENT=$#words
_tidegate_completion
"""
PROGRAMS: Mapping[str, tuple[str, ...]] = {
    "bash": ("bash", "--norc", "-c", BASH, "bash"),
    "fish": ("fish", "--no-config", "-c", FISH),
    "zsh": ("zsh", "-f", "-c", ZSH, "zsh"),
}


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> str:
    """A PATH on which this checkout is the command."""
    command = tmp_path / "tidegate"
    command.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(CHECKOUT / 'agent')!r})\n"
        "from tidegate.cli.entry import main\nmain()\n"
    )
    command.chmod(0o755)
    return f"{tmp_path}:{os.environ['PATH']}"


def offered(shell: str, line: str, path: str) -> set[str]:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed: apt-get install {shell}")
    argv = [*PROGRAMS[shell], str(SCRIPTS / f"tidegate.{shell}"), line]
    done = subprocess.run(
        argv,
        env={"PATH": path, "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        timeout=SHELL_SECS,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return {word.split("\t")[0] for word in done.stdout.split("\n") if word}


@pytest.mark.parametrize("shell", SHELLS)
def test_commands_options_and_files_are_offered(shell: str, path: str, tmp_path: Path) -> None:
    assert offered(shell, "tidegate st", path) == {name for name in COMMANDS if name.startswith("st")}
    assert {"--json", "--exit-code"} <= offered(shell, "tidegate status --", path)
    assert offered(shell, "tidegate config s", path) == {"show"}
    (tmp_path / "snippet.toml").touch()
    files = offered(shell, f"tidegate config check {tmp_path}/sni", path)
    assert files & {f"{tmp_path}/snippet.toml", "<default>", "<-f>"}
