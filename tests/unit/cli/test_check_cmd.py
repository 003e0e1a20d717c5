"""``tidegate check --json`` and ``stage --json``: what programs are told of a look for a release."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.fakes.engine import payload_of
from tidegate.agent_api import client
from tidegate.cli import snapshot_file
from tidegate.cli.entry import cli
from tidegate.errors import ErrorKind, TidegateError

KEYS = {
    "schema", "answer", "error", "checked_at", "booted", "target", "staged",
    "passed_over", "deferred", "dead_end", "next_check",
}  # fmt: skip
RELEASES: dict[str, dict[str, str]] = {
    version: {"version": version, "payload": payload_of(version)} for version in "123"
}
SNAPSHOT: dict[str, object] = {
    "schema": 1,
    "last_check": "2026-11-21T08:00:00Z",
    "next_check": "2026-11-21T08:05:00Z",
    "booted": RELEASES["1"],
    "target": RELEASES["2"],
    "staged": None,
    "passed_over": [{"release": RELEASES["3"], "cause": "denied", "reason": "is denied: unhealthy"}],
    "deferred": [{"release": RELEASES["3"], "reason": "is offered to 34 % of hosts now", "turn_at": None}],
    "dead_end": None,
    "last_error": None,
    "history": [{"outcome": "applied"}],
}


@pytest.fixture
def tell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Tell:
    return Tell(monkeypatch, tmp_path / "status.json")


class Tell:
    """An agent that answers, and what it says of itself from then on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
        self._monkeypatch = monkeypatch
        self._file = file
        monkeypatch.setattr(snapshot_file.read, "__defaults__", (str(file),))

    def __call__(self, answer: str | BaseException, changes: Mapping[str, object] | None = None) -> None:
        async def ask(*_arguments: object, may_interact: bool) -> str:
            assert not may_interact, "these tests have no terminal"
            if isinstance(answer, BaseException):
                raise answer
            self._file.write_text(json.dumps({**SNAPSHOT, **(changes or {})}), encoding="utf-8")
            return answer

        self._monkeypatch.setattr(client, "ask_agent", ask)


def run(command: str = "check") -> Result:
    return CliRunner().invoke(cli, [command, "--json"], catch_exceptions=False)


def told(result: Result) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(result.stdout)
    assert set(document) == KEYS
    assert document["schema"] == 1
    return document


def test_what_was_found_is_told_as_the_agent_has_it_after_the_look(tell: Tell) -> None:
    tell("2 is available")
    done = run()
    document = told(done)
    assert (done.exit_code, done.stderr) == (0, "")
    assert (document["answer"], document["error"]) == ("2 is available", None)
    assert document["checked_at"] == SNAPSHOT["last_check"]
    for key in ("booted", "target", "staged", "passed_over", "deferred", "dead_end", "next_check"):
        assert document[key] == SNAPSHOT[key]


def test_a_staging_tells_what_is_staged(tell: Tell) -> None:
    staged = {**RELEASES["2"], "locked": True}
    tell("2 is staged", {"staged": staged})
    assert told(run("stage"))["staged"] == staged


def test_a_dead_end_is_told_with_its_reason(tell: Tell) -> None:
    tell("no newer release is offered", {"target": None, "dead_end": "use the next stream"})
    assert told(run())["dead_end"] == "use the next stream"


def test_a_source_that_does_not_know_the_host_is_an_error_in_the_answer(tell: Tell) -> None:
    error = {"kind": "discovery.unknown-booted", "message": "it is not listed", "remedy": "list it", "count": 3}
    tell("no newer release is offered", {"target": None, "last_error": error})
    done = run()
    assert done.exit_code == 0
    assert told(done)["error"] == {"kind": error["kind"], "message": error["message"], "remedy": error["remedy"]}


def test_what_went_wrong_elsewhere_is_no_error_of_the_look(tell: Tell) -> None:
    tell("2 is available", {"last_error": {"kind": "engine.no-space", "message": "full", "remedy": "", "count": 1}})
    assert told(run())["error"] is None


@pytest.mark.parametrize("command", ["check", "stage"])
def test_a_look_that_fails_has_the_same_keys_and_nothing_of_an_earlier_one(tell: Tell, command: str) -> None:
    tell("2 is available")
    run()
    tell(TidegateError(ErrorKind.DISCOVERY_UNREACHABLE, "nobody answers", "wait"))
    done = run(command)
    document = told(done)
    assert done.exit_code == 1
    assert done.stderr == "tidegate: nobody answers\n  to do: wait\n"
    error = {"kind": "discovery.unreachable", "message": "nobody answers", "remedy": "wait"}
    assert {key: value for key, value in document.items() if value} == {"schema": 1, "error": error}
    assert document["passed_over"] == document["deferred"] == []


def test_an_agent_that_is_not_there_is_told_in_json_too(tell: Tell) -> None:
    tell(TidegateError(ErrorKind.AGENT_UNREACHABLE, "the agent does not run", "start it"))
    done = run()
    assert (done.exit_code, told(done)["error"]["kind"]) == (4, "agent.unreachable")
