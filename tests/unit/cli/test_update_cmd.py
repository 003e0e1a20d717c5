"""The commands that make the agent act: the method calls that they send, and the agent's answers as exit codes."""

from __future__ import annotations

import pytest
from click.testing import CliRunner, Result

from tidegate.agent_api import client
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

    async def ask(*arguments: object) -> str:
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
