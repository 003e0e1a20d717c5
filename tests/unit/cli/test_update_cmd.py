"""The commands that make the agent act: the method calls that they send, and the agent's answers as exit codes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tidegate.agent_api import client
from tidegate.cli import polkit_prompt
from tidegate.cli.check_cmd import CHECK_SECS, STAGE_SECS
from tidegate.cli.entry import cli
from tidegate.cli.update_cmd import ANSWER_SECS, REBOOT_SECS
from tidegate.errors import ErrorKind, TidegateError

Calls = list[tuple[object, ...]]
NO_GATES: list[str] = []
COMMANDS: dict[str, list[str]] = {
    "check": ["check"],
    "stage": ["stage"],
    "apply": ["apply", "--reason", "fix"],
    "rollback": ["rollback", "--reason", "slow"],
    "resume": ["resume", "--reason", "slow"],
    "deny": ["deny", "42", "--reason", "slow"],
    "allow": ["allow", "42", "--reason", "slow"],
    "reload": ["reload"],
    "lock forget": ["lock", "forget", "--reason", "gone"],
}
REBOOTING = ("apply", "rollback")


def answering(monkeypatch: pytest.MonkeyPatch, answer: str | BaseException = "on it") -> Calls:
    """Let the agent give ``answer``; returns the list of the calls that it receives."""
    calls: Calls = []

    async def ask(*arguments: object, may_interact: bool) -> str:
        assert not may_interact, "these tests have no terminal"
        calls.append(arguments)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    monkeypatch.setattr(client, "ask_agent", ask)
    return calls


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments), catch_exceptions=False)


@pytest.mark.parametrize(
    ("arguments", "call"),
    [
        (COMMANDS["check"], ("Check", CHECK_SECS, "")),
        (COMMANDS["stage"], ("Stage", STAGE_SECS, "")),
        (COMMANDS["apply"], ("Apply", REBOOT_SECS, "sbas", "fix", False, NO_GATES)),
        (["apply", "--now", "--reason", "fix"], ("Apply", REBOOT_SECS, "sbas", "fix", True, NO_GATES)),
        (
            ["apply", "--override", "periodic", "--reason", "fix"],
            ("Apply", REBOOT_SECS, "sbas", "fix", False, ["periodic"]),
        ),
        (
            ["apply", "--now", "--override", " periodic ,,sessions,", "--reason", " fix\n"],
            ("Apply", REBOOT_SECS, "sbas", " fix\n", True, ["periodic", "sessions"]),
        ),
        (COMMANDS["rollback"], ("Rollback", REBOOT_SECS, "sas", "slow", NO_GATES)),
        (
            ["rollback", "--override", "sessions, periodic", "--reason", "slow"],
            ("Rollback", REBOOT_SECS, "sas", "slow", ["sessions", "periodic"]),
        ),
        (COMMANDS["resume"], ("Resume", ANSWER_SECS, "s", "slow")),
        (COMMANDS["deny"], ("Deny", ANSWER_SECS, "ss", "42", "slow")),
        (COMMANDS["allow"], ("Allow", ANSWER_SECS, "ss", "42", "slow")),
        (COMMANDS["reload"], ("Reload", ANSWER_SECS, "")),
        (COMMANDS["lock forget"], ("ForgetLock", ANSWER_SECS, "s", "gone")),
    ],
)
def test_a_command_is_one_method_call(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], call: tuple[object, ...]
) -> None:
    calls = answering(monkeypatch)
    done = run(*arguments)
    assert (done.exit_code, done.stdout, done.stderr) == (0, "on it\n", "")
    assert calls == [call]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["apply"], "Missing option '--reason'"),
        (["apply", "--now"], "Missing option '--reason'"),
        (["apply", "--now", "--reason", "  "], "--reason needs a text"),
        (["apply", "--now", "--reason", "\n\t"], "--reason needs a text"),
        (["apply", "--override", "--reason", "fix"], "Missing option '--reason'"),
        (
            ["apply", "--override", "", "--reason", "fix"],
            "--override needs the name of a gate; tidegate explain lists them",
        ),
        (["apply", "--override", " , ,", "--reason", "fix"], "--override needs the name of a gate"),
        (["apply", "periodic", "--reason", "fix"], "unexpected extra argument"),
        (["rollback"], "Missing option '--reason'"),
        (["resume"], "Missing option '--reason'"),
        (["deny", "42"], "Missing option '--reason'"),
        (["allow", "42"], "Missing option '--reason'"),
        (["deny", "--reason", "slow"], "Missing argument 'VERSION'"),
        (["allow", "--reason", "slow"], "Missing argument 'VERSION'"),
        (["rollback", "--reason", " "], "--reason needs a text"),
        (["resume", "--reason", "\n"], "--reason needs a text"),
        (["deny", "42", "--reason", "\t"], "--reason needs a text"),
        (["allow", "42", "--reason", ""], "--reason needs a text"),
        (["rollback", "--override", " ,", "--reason", "slow"], "--override needs the name of a gate"),
        (["reload", "now"], "unexpected extra argument"),
        (["lock", "forget"], "Missing option '--reason'"),
        (["lock", "forget", "--reason", " "], "--reason needs a text"),
    ],
)
def test_a_usage_error_exits_with_2_and_sends_nothing(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    calls = answering(monkeypatch)
    done = run(*arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert calls == []


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (ErrorKind.REBOOT_REFUSED, 3),
        (ErrorKind.ROLLBACK_IMPOSSIBLE, 3),
        (ErrorKind.AGENT_NOT_AUTHORISED, 3),
        (ErrorKind.CONFIG_INVALID, 3),
        (ErrorKind.AGENT_UNKNOWN_RELEASE, 2),
        (ErrorKind.AGENT_UNREACHABLE, 4),
        (ErrorKind.ENGINE_NO_SPACE, 1),
        (ErrorKind.AGENT_INTERNAL, 1),
    ],
)
def test_the_kind_of_an_error_decides_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, command: str, kind: ErrorKind, code: int
) -> None:
    answering(monkeypatch, TidegateError(kind, "periodic: the window is shut", "see tidegate windows"))
    done = run(*COMMANDS[command])
    assert (done.exit_code, done.stdout) == (code, "")
    assert done.stderr == "tidegate: periodic: the window is shut\n  to do: see tidegate windows\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_lost_bus_means_a_reboot_only_for_the_commands_that_reboot(
    monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    answering(monkeypatch, TidegateError(ErrorKind.BUS_LOST, "the bus went away"))
    done = run(*COMMANDS[command])
    if command in REBOOTING:
        assert (done.exit_code, done.stdout) == (0, "the host is going down\n")
    else:
        assert (done.exit_code, done.stdout) == (4, "")


@pytest.mark.parametrize("command", COMMANDS)
def test_an_interrupt_ends_the_command_and_not_the_request(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    answering(monkeypatch, KeyboardInterrupt())
    done = run(*COMMANDS[command])
    assert done.exit_code == 1
    assert done.stderr == "tidegate: interrupted; the agent goes on with the request\n  to do: tidegate status\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_polkit_may_prompt_where_it_is_told_to(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    prompted: list[bool] = []

    async def ask(*_: object, may_interact: bool) -> str:
        prompted.append(may_interact)
        return "on it"

    monkeypatch.setattr(client, "ask_agent", ask)
    monkeypatch.setattr(polkit_prompt, "AGENT", "no-such-agent")
    for option in ("--allow-interactive", "--no-allow-interactive"):
        assert CliRunner().invoke(cli, [*COMMANDS[command], option]).exit_code == 0
    assert prompted == [True, False]


@pytest.mark.parametrize(
    ("given", "uid", "terminal", "prompts"),
    [
        (None, 1000, True, True),
        (None, 0, True, False),
        (None, 1000, False, False),
        (True, 1000, False, True),
        (False, 1000, True, False),
    ],
)
def test_users_at_a_terminal_are_prompted(
    monkeypatch: pytest.MonkeyPatch, given: bool | None, uid: int, terminal: bool, prompts: bool
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: terminal)
    assert polkit_prompt.wanted(given) is prompts


def test_the_prompts_agent_is_there_before_the_call_and_gone_after_it(tmp_path: Path) -> None:
    """A stand-in that notes its arguments, says that it is ready, and waits to be stopped."""
    agent, log = tmp_path / "agent", tmp_path / "log"
    agent.write_text(
        f'#!/bin/bash\ntrap "echo stopped >>{log}; exit" TERM\necho "$1 $3" >{log}\neval "exec $2>&-"\n'
        "while :; do sleep 0.05; done\n"
    )
    agent.chmod(0o755)
    with polkit_prompt.prompting(str(agent)):
        assert log.read_text() == "--notify-fd --fallback\n"
    assert log.read_text() == "--notify-fd --fallback\nstopped\n"


def test_without_such_an_agent_the_call_is_made_all_the_same() -> None:
    with polkit_prompt.prompting("no-such-agent"):
        pass
