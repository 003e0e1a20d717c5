"""``tidegate check``, ``stage`` and ``apply``: what reaches the agent, and what its answer comes to."""

from __future__ import annotations

import pytest
from click.testing import CliRunner, Result

from tidegate.agent_api import client
from tidegate.cli.check_cmd import CHECK_SECS, STAGE_SECS
from tidegate.cli.entry import cli
from tidegate.cli.update_cmd import ANSWER_SECS, REBOOT_SECS
from tidegate.errors import ErrorKind, TidegateError

Asked = list[tuple[object, ...]]


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


NOBODY: list[str] = []


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        (["check"], ("Check", CHECK_SECS, "")),
        (["stage"], ("Stage", STAGE_SECS, "")),
        (["apply", "--reason", "fix"], ("Apply", REBOOT_SECS, "sbas", "fix", False, NOBODY)),
        (["apply", "--now", "--reason", "fix"], ("Apply", REBOOT_SECS, "sbas", "fix", True, NOBODY)),
        (
            ["apply", "--override", "periodic", "--reason", "fix"],
            ("Apply", REBOOT_SECS, "sbas", "fix", False, ["periodic"]),
        ),
        (
            ["apply", "--now", "--override", " periodic ,,sessions,", "--reason", " fix\n"],
            ("Apply", REBOOT_SECS, "sbas", " fix\n", True, ["periodic", "sessions"]),
        ),
        (["lock", "forget", "--reason", "gone"], ("ForgetLock", ANSWER_SECS, "s", "gone")),
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
        ([], "Missing option '--reason'"),
        (["--now"], "Missing option '--reason'"),
        (["--now", "--reason", "  "], "--reason needs a text"),
        (["--now", "--reason", "\n\t"], "--reason needs a text"),
        (["--override", "--reason", "fix"], "Missing option '--reason'"),
        (["--override", "", "--reason", "fix"], "--override needs the name of a gate; tidegate explain lists them"),
        (["--override", " , ,", "--reason", "fix"], "--override needs the name of a gate"),
        (["periodic", "--reason", "fix"], "unexpected extra argument"),
    ],
)
def test_what_is_typed_wrongly_is_2_and_reaches_nobody(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: str
) -> None:
    received = answering(monkeypatch)
    done = run("apply", *arguments)
    assert done.exit_code == 2
    assert told in done.stderr
    assert received == []


@pytest.mark.parametrize(
    ("arguments", "told"), [([], "Missing option '--reason'"), (["--reason", " "], "--reason needs a text")]
)
def test_a_lock_is_forgotten_for_a_reason(monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: str) -> None:
    received = answering(monkeypatch)
    done = run("lock", "forget", *arguments)
    assert (done.exit_code, received) == (2, [])
    assert told in done.stderr


@pytest.mark.parametrize("command", [["check"], ["stage"], ["apply", "--reason", "fix"]])
@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (ErrorKind.REBOOT_REFUSED, 3),
        (ErrorKind.AGENT_NOT_AUTHORISED, 3),
        (ErrorKind.AGENT_UNREACHABLE, 4),
        (ErrorKind.ENGINE_NO_SPACE, 1),
    ],
)
def test_a_no_is_told_with_its_code(
    monkeypatch: pytest.MonkeyPatch, command: list[str], kind: ErrorKind, code: int
) -> None:
    answering(monkeypatch, TidegateError(kind, "periodic: the window is shut", "see tidegate windows"))
    done = run(*command)
    assert (done.exit_code, done.stdout) == (code, "")
    assert done.stderr == "tidegate: periodic: the window is shut\n  to do: see tidegate windows\n"


def test_a_bus_that_goes_away_over_an_apply_is_a_host_that_goes_down(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, TidegateError(ErrorKind.BUS_LOST, "the bus went away"))
    done = run("apply", "--reason", "fix")
    assert (done.exit_code, done.stdout) == (0, "the host is going down\n")
    assert run("check").exit_code == 4


def test_who_interrupts_is_told_that_the_agent_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, KeyboardInterrupt())
    done = run("stage")
    assert done.exit_code == 1
    assert done.stderr == "tidegate: interrupted; what the agent had begun goes on\n  to do: tidegate status\n"
