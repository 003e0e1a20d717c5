"""What a person decides about releases: what reaches the agent, and what its answer comes to."""

from __future__ import annotations

import pytest
from click.testing import CliRunner, Result

from tidegate.agent_api import client
from tidegate.cli.entry import cli
from tidegate.cli.update_cmd import ANSWER_SECS, REBOOT_SECS
from tidegate.errors import ErrorKind, TidegateError

Asked = list[tuple[object, ...]]
NOBODY: list[str] = []
COMMANDS: dict[str, list[str]] = {
    "rollback": ["rollback", "--reason", "slow"],
    "resume": ["resume", "--reason", "slow"],
    "deny": ["deny", "42", "--reason", "slow"],
    "allow": ["allow", "42", "--reason", "slow"],
    "reload": ["reload"],
}


def answering(monkeypatch: pytest.MonkeyPatch, answer: str | BaseException = "on it") -> Asked:
    """The agent on the bus; gives what it was asked."""
    asked: Asked = []

    async def ask(*arguments: object) -> str:
        asked.append(arguments)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    monkeypatch.setattr(client, "ask_agent", ask)
    return asked


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments), catch_exceptions=False)


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        (COMMANDS["rollback"], ("Rollback", REBOOT_SECS, "sas", "slow", NOBODY)),
        (
            ["rollback", "--override", "sessions, periodic", "--reason", "slow"],
            ("Rollback", REBOOT_SECS, "sas", "slow", ["sessions", "periodic"]),
        ),
        (COMMANDS["resume"], ("Resume", ANSWER_SECS, "s", "slow")),
        (COMMANDS["deny"], ("Deny", ANSWER_SECS, "ss", "42", "slow")),
        (COMMANDS["allow"], ("Allow", ANSWER_SECS, "ss", "42", "slow")),
        (COMMANDS["reload"], ("Reload", ANSWER_SECS, "")),
    ],
)
def test_what_is_typed_reaches_the_agent(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], asked: tuple[object, ...]
) -> None:
    received = answering(monkeypatch)
    done = run(*arguments)
    assert (done.exit_code, done.stdout, done.stderr) == (0, "on it\n", "")
    assert received == [asked]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
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
    ],
)
def test_what_is_typed_wrongly_is_2_and_reaches_nobody(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: str
) -> None:
    received = answering(monkeypatch)
    done = run(*arguments)
    assert done.exit_code == 2
    assert told in done.stderr
    assert received == []


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (ErrorKind.ROLLBACK_IMPOSSIBLE, 3),
        (ErrorKind.AGENT_NOT_AUTHORISED, 3),
        (ErrorKind.CONFIG_INVALID, 3),
        (ErrorKind.AGENT_UNKNOWN_RELEASE, 2),
        (ErrorKind.AGENT_UNREACHABLE, 4),
        (ErrorKind.AGENT_INTERNAL, 1),
    ],
)
def test_a_no_is_told_with_its_code(monkeypatch: pytest.MonkeyPatch, command: str, kind: ErrorKind, code: int) -> None:
    answering(monkeypatch, TidegateError(kind, "there is nothing to go back to", "wait for the next release"))
    done = run(*COMMANDS[command])
    assert (done.exit_code, done.stdout) == (code, "")
    assert done.stderr == "tidegate: there is nothing to go back to\n  to do: wait for the next release\n"


def test_a_bus_that_goes_away_is_a_host_that_goes_down_only_for_what_reboots(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, TidegateError(ErrorKind.BUS_LOST, "the bus went away"))
    done = run(*COMMANDS["rollback"])
    assert (done.exit_code, done.stdout) == (0, "the host is going down\n")
    for command in ("resume", "deny", "allow", "reload"):
        assert run(*COMMANDS[command]).exit_code == 4


def test_who_interrupts_is_told_that_the_agent_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, KeyboardInterrupt())
    done = run(*COMMANDS["rollback"])
    assert done.exit_code == 1
    assert done.stderr == "tidegate: interrupted; what the agent had begun goes on\n  to do: tidegate status\n"
