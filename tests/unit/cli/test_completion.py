"""What the command answers to shells, and that the shipped scripts are those that ask it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import get_completion_class
from click.testing import CliRunner

from tidegate.cli import completion, install_places
from tidegate.cli.entry import COMMANDS, INTERNAL, cli

CHECKOUT = Path(__file__).resolve().parents[3]
SCRIPTS = CHECKOUT / "contrib/completions"
SHELLS = ("bash", "fish", "zsh")


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_what_the_command_would_make(shell: str) -> None:
    made = get_completion_class(shell)
    assert made is not None
    # Not source(): that of bash runs bash to see how old it is.
    completion = made(cli, {}, "tidegate", "_TIDEGATE_COMPLETE")
    source = completion.source_template % completion.source_vars()
    assert (SCRIPTS / f"tidegate.{shell}").read_text(encoding="utf-8").strip() == source.strip(), (
        f"_TIDEGATE_COMPLETE={shell}_source tidegate > contrib/completions/tidegate.{shell}"
    )


def test_every_script_has_its_place() -> None:
    assert {file.name for file in SCRIPTS.iterdir()} == set(install_places.COMPLETIONS)


def ask(line: str) -> set[str]:
    words = line.split(" ")
    environment = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1), "_TIDEGATE_COMPLETE": "bash_complete"}
    said = CliRunner().invoke(cli, prog_name="tidegate", env=environment).stdout
    return {answer.split(",", 1)[1] for answer in said.splitlines() if answer}


def test_processes_are_not_for_people() -> None:
    assert ask("tidegate ") == set(COMMANDS) - INTERNAL


def test_a_first_word_imports_no_command() -> None:
    probe = (
        "import sys; from tidegate.cli.entry import cli\ntry: cli.main(prog_name='tidegate')\nexcept SystemExit: pass\n"
        "sys.stderr.write(' '.join(name for name in sys.modules if name.startswith('tidegate.cli.')))"
    )
    environment = {"COMP_WORDS": "tidegate ", "COMP_CWORD": "1", "_TIDEGATE_COMPLETE": "bash_complete"}
    environment["PYTHONPATH"] = str(CHECKOUT / "agent")
    done = subprocess.run([sys.executable, "-c", probe], env=environment, capture_output=True, text=True, check=True)
    assert "status" in done.stdout
    assert set(done.stderr.split()) == {"tidegate.cli.entry", "tidegate.cli.suggest"}


def test_gates_that_hold_a_reboot_are_offered_each_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = tmp_path / "status.json"
    monkeypatch.setattr(completion, "STATUS_FILE", str(snapshot))
    assert ask("tidegate apply --override ") == set(), "there is no agent, and that is no error"
    snapshot.write_text("[]")
    assert ask("tidegate apply --override ") == set()
    snapshot.write_text(json.dumps({"blocked_by": ["periodic", "sessions"]}))
    assert ask("tidegate apply --override ") == {"periodic", "sessions"}
    assert ask("tidegate apply --override se") == {"sessions"}
    assert ask("tidegate apply --override sessions,") == {"sessions,periodic"}


def test_gates_that_may_not_be_overridden_are_not_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = tmp_path / "status.json"
    monkeypatch.setattr(completion, "STATUS_FILE", str(snapshot))
    snapshot.write_text(json.dumps({"blocked_by": ["inhibitors", "denied", "fleet_lock", "no such gate", 3]}))
    assert ask("tidegate apply --override ") == {"fleet_lock"}
