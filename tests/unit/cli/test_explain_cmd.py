"""``tidegate explain``: what people read, what programs read, and what is told when nobody answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.fakes import agent_walks as walks
from tests.fakes.builders import Walk, at, deciding, staged, staging, verifying
from tests.fakes.clock import START
from tidegate.agent_api import client
from tidegate.cli import explain_cmd, snapshot_file
from tidegate.cli.entry import cli
from tidegate.cli.explain_cmd import EXPLAIN_SECS, lines
from tidegate.errors import ErrorKind, TidegateError
from tidegate.gates.base import Allow, Verdict, Wait
from tidegate.report.explain import explanation
from tidegate.report.snapshot import Publisher

NOW = datetime(2026, 3, 2, 10, 10, tzinfo=UTC)
Document = Mapping[str, object]

PERIODIC = Wait("periodic", "the window is shut", START + timedelta(hours=26), "see tidegate windows")
INHIBITED = Wait("inhibitors", "backup holds shutdowns back: copying")
OPEN = Allow("periodic", until=START + timedelta(hours=1))


def told(walk: Walk, *verdicts: Verdict) -> str:
    """The lines, in the agent's words, through JSON."""
    document: Document = json.loads(json.dumps(explanation(walk.state, verdicts)))
    return "\n".join(lines(document, NOW)) + "\n"


# --------------------------------------------------------------------------- for people


def test_several_waits_with_their_times_and_what_to_do_and_what_allows() -> None:
    walk = deciding().answer((PERIODIC, INHIBITED))
    assert (
        told(walk, PERIODIC, Allow("interval"), INHIBITED)
        == """\
2 is staged since 10 min ago and waits:
  periodic    WAITS   the window is shut, since 10 min ago, until 2026-03-03 12:00 UTC, in 1 d 1 h
                      to do: see tidegate windows
  inhibitors  WAITS   backup holds shutdowns back: copying, since 10 min ago
  interval    allows
"""
    )


def test_what_allows_says_until_when_and_the_lock_is_asked_last() -> None:
    assert (
        told(walks.fleet_staged(), OPEN, Allow("sessions", "nobody is logged in"))
        == """\
2 is staged since 10 min ago and every gate allows it:
  periodic    allows  until 2026-03-02 11:00 UTC, in 50 min
  sessions    allows  nobody is logged in
  fleet_lock  -       asked last, when every other gate allows
"""
    )


def test_a_lock_that_was_denied() -> None:
    assert (
        told(walks.denied_lock(), Allow("immediate"))
        == """\
2 is staged since 10 min ago and waits:
  fleet_lock  WAITS   no slot is free at https://lock.example/: 2 of 2 slots are taken, since 10 min ago, \
until 2026-03-02 10:10 UTC, 0 s ago
                      to do: wait for it, or: tidegate apply --now --override fleet_lock --reason TEXT
  immediate   allows
"""
    )


def test_one_gate_with_a_short_name_makes_a_narrow_table() -> None:
    assert told(staged(), Wait("x", "no", remedy="yes")) == (
        "2 is staged since 10 min ago and waits:\n  x  WAITS   no\n             to do: yes\n"
    )


@pytest.mark.parametrize(
    ("walk", "verdicts", "headline"),
    [
        (walks.checked, (OPEN,), "no release is staged; if one were, the host would reboot into it:"),
        (walks.checked, (PERIODIC,), "no release is staged; if one were, the host would wait:"),
        (walks.disabled, (OPEN,), "no release is staged; if one were, the host would wait:"),
        (walks.blocked, (OPEN,), "no release is staged; if one were, the host would wait:"),
        (walks.available, (OPEN,), "2 is not staged; if it were, the host would reboot into it:"),
        (staging, (PERIODIC,), "2 is not staged; if it were, the host would wait:"),
        (walks.blocked_staged, (OPEN,), "2 is staged since 10 min ago and waits:"),
        (walks.relocking, (OPEN,), "2 is staged and every gate allows it:"),
        (walks.rebooting, (OPEN,), "2 is staged and every gate allows it:"),
        (verifying, (OPEN,), "no release is staged; if one were, the host would wait:"),
        (walks.paused, (OPEN,), "no release is staged; if one were, the host would wait:"),
        (walks.unread, (OPEN,), "no release is staged; if one were, the host would wait:"),
    ],
)
def test_the_headline_is_the_answer(walk: Callable[[], Walk], verdicts: tuple[Verdict, ...], headline: str) -> None:
    assert told(walk(), *verdicts).splitlines()[0] == headline


ODD: tuple[Document, ...] = ({}, {"gates": 3}, {"gates": [1, None], "release": 2}, {"staged": True, "since": 7})


@pytest.mark.parametrize("odd", ODD)
def test_odd_documents_have_lines_all_the_same(odd: Document) -> None:
    assert list(lines(odd, NOW))


# --------------------------------------------------------------------------- the command


@pytest.fixture(name="status_file")
def _status_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the snapshot would be; nothing is there yet."""
    path = tmp_path / "status.json"
    monkeypatch.setattr(snapshot_file.read, "__defaults__", (str(path),))
    return path


def answering(monkeypatch: pytest.MonkeyPatch, answer: Document | TidegateError) -> list[tuple[object, ...]]:
    """The agent on the bus; gives what it was asked."""
    asked: list[tuple[object, ...]] = []

    async def ask(*arguments: object) -> str:
        asked.append(arguments)
        if isinstance(answer, TidegateError):
            raise answer
        return json.dumps(answer)

    monkeypatch.setattr(client, "ask_agent", ask)
    return asked


SILENCE = TidegateError(ErrorKind.AGENT_UNREACHABLE, "the agent does not run", "systemctl start tidegate.service")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["explain", *arguments], catch_exceptions=False)


def test_what_the_agent_says_is_printed_and_is_0_whatever_it_is(
    status_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = explanation(walks.waits().state, (PERIODIC,))
    asked = answering(monkeypatch, document)
    done = run()
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("2 is staged since ")
    assert asked == [("Explain", EXPLAIN_SECS)]
    given = json.loads(run("--json").stdout)
    assert given == {**json.loads(json.dumps(document)), "source": "bus"}
    assert not status_file.exists(), "it was not needed"


@pytest.mark.parametrize("columns", ["20", "80", "300"])
def test_without_a_terminal_no_line_is_broken(status_file: Path, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    """Lines are for ``grep``."""
    monkeypatch.setenv("COLUMNS", columns)
    answering(monkeypatch, explanation(staged().state, (PERIODIC,)))
    gate, remedy = run().stdout.splitlines()[1:]
    assert gate.startswith("  periodic  WAITS   the window is shut, until 2026-03-03 12:00 UTC, ")
    assert remedy == "                    to do: see tidegate windows"
    assert not status_file.exists()


@pytest.mark.parametrize("walk", walks.EVERY, ids=[made.__name__ for made in walks.EVERY])
def test_an_agent_that_is_gone_has_left_what_it_knew_and_that_is_4(
    status_file: Path, monkeypatch: pytest.MonkeyPatch, walk: Callable[[], Walk]
) -> None:
    """The same document as the agent's own, by what its gates said last."""
    answering(monkeypatch, SILENCE)
    state = walk().state
    Publisher(status_file.parent, "0.1.0").publish(state, at(0))
    done = run("--json")
    assert done.exit_code == 4
    assert done.stderr == (
        "tidegate: shown is the agent's last snapshot: the agent does not run\n"
        "  to do: systemctl status tidegate.service\n"
    )
    last = getattr(state.phase, "verdicts", ())
    expected = json.loads(json.dumps(explanation(state, last)))
    assert json.loads(done.stdout) == {**expected, "source": "snapshot"}


def test_people_read_what_was_left_behind_as_well(status_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, SILENCE)
    Publisher(status_file.parent, "0.1.0").publish(walks.waits().state, at(0))
    done = run()
    assert done.exit_code == 4
    assert "  window  WAITS   the window is closed, since " in done.stdout


@pytest.mark.parametrize("option", [[], ["--json"]])
def test_without_agent_and_snapshot_there_is_nothing_but_the_reason(
    status_file: Path, monkeypatch: pytest.MonkeyPatch, option: list[str]
) -> None:
    answering(monkeypatch, SILENCE)
    assert not status_file.exists()
    done = run(*option)
    assert (done.exit_code, done.stdout) == (4, "")
    assert done.stderr == (
        "tidegate: the agent has not run since the host booted\n  to do: systemctl status tidegate.service\n"
    )


@pytest.mark.parametrize("kind", [ErrorKind.BUS_TIMEOUT, ErrorKind.BUS_UNREACHABLE, ErrorKind.BUS_CALL_FAILED])
def test_whatever_keeps_the_agent_from_answering_is_told(
    status_file: Path, monkeypatch: pytest.MonkeyPatch, kind: ErrorKind
) -> None:
    answering(monkeypatch, TidegateError(kind, "this is why"))
    Publisher(status_file.parent, "0.1.0").publish(walks.waits().state, at(0))
    done = run()
    assert done.exit_code == 4
    assert "last snapshot: this is why\n" in done.stderr


def test_all_gates_may_take_their_time() -> None:
    """Each gate has its own deadline in the agent; this is for the sum of them."""
    assert explain_cmd.EXPLAIN_SECS >= 8 * 30
