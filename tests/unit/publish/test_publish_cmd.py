"""``tidegate publish`` on graphs: what it prints, writes and refuses. With repositories: tests/integration/ostree."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from tests.unit.publish.graphs import graph_of, payload_of
from tidegate.cli.publish_cmd import publish
from tidegate.cli.publish_options import Course
from tidegate.clock import SystemClock, rfc3339
from tidegate.discovery.graph import parse_graph
from tidegate.discovery.rollout import Rollout, rollout_of
from tidegate.publish import document, plan, publisher, render
from tidegate.publish.document import Document

MANUAL = Path(__file__).resolve().parents[3] / "contrib/man/tidegate-publish.1.md"
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
EPOCH = int(NOW.timestamp())


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """A graph of three releases."""
    path = tmp_path / "graph.json"
    path.write_bytes(graph_of("1", "2", "3").raw)
    return path


def run(graph: Path, *arguments: str) -> Result:
    return CliRunner().invoke(publish, [*arguments], env={"TIDEGATE_GRAPH": str(graph)})


def done(graph: Path, *arguments: str) -> str:
    result = run(graph, *arguments)
    assert result.exit_code == 0, result.output
    return result.output


def rollout(graph: Path) -> Rollout | None:
    return rollout_of(document.read(graph.read_bytes()).node("3").release)


def test_a_withdrawal_and_back(graph: Path) -> None:
    before = graph.read_bytes()
    assert done(graph, "withdraw", "3", "--reason", "eats disks").splitlines() == [
        f"write {graph}",
        f"3  {payload_of('3')[:12]}  no edge leads to it; withdrawn: eats disks",
    ]
    again = graph.stat().st_mtime_ns
    assert done(graph, "withdraw", "3", "--reason", "eats disks").startswith("nothing to do\n")
    assert graph.stat().st_mtime_ns == again
    done(graph, "withdraw", "3", "--lift")
    assert parse_graph(graph.read_bytes()) == parse_graph(before)


def test_a_dry_run_writes_nothing(graph: Path) -> None:
    before = graph.read_bytes(), graph.stat().st_mtime_ns, list(graph.parent.iterdir())
    for change in (["deadend", "1", "--reason", "x"], ["barrier", "2"], ["rollout", "3", "--value", "5%"]):
        assert done(graph, *change, "--dry-run").startswith(f"would write {graph}\n")
    assert (graph.read_bytes(), graph.stat().st_mtime_ns, list(graph.parent.iterdir())) == before


def test_what_json_says(graph: Path) -> None:
    report = json.loads(done(graph, "deadend", "1", "--reason", "reinstall", "--json"))
    assert report == {
        "schema": 1,
        "dry_run": False,
        "changed": True,
        "steps": [f"write {graph}"],
        "release": {
            "version": "1",
            "payload": payload_of("1"),
            "age_index": 0,
            "edges_to_it": 0,
            "share": 1.0,
            "rollout": None,
            "barrier": False,
            "dead_end": "reinstall",
            "withdrawn": None,
            "rollback_floor": None,
        },
    }


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--over", "2d"], Course(2880, None, None)),
        (["--over", "90s", "--value", "10%"], Course(2, None, 0.1)),
        (["--value", "0.25"], Course(None, None, 0.25)),
        (["--start", "2026-11-22T12:00:00Z"], Course(None, NOW + timedelta(days=1), None)),
    ],
)
def test_a_line_is_read_from_its_options(options: list[str], line: Course, graph: Path) -> None:
    done(graph, "rollout", "3", "--value", "0")
    done(graph, "rollout", "3", *options)
    found = rollout(graph)
    assert found is not None
    expected = line.rollout(SystemClock().now().wall)
    assert (found.start_value, found.duration_secs) == (expected.start_value, expected.duration_secs)
    assert abs(found.start_epoch - expected.start_epoch) < 60


def test_a_line_that_is_not_told_starts_now_with_nobody_or_with_all() -> None:
    assert Course(60, None, None).rollout(NOW) == Rollout(EPOCH, 0.0, 3600)
    assert Course(60, None, None).rollout(NOW, 0.4) == Rollout(EPOCH, 0.4, 3600)
    assert Course(None, NOW, None).rollout(NOW) == Rollout(EPOCH, 1.0, None)


def test_a_rollout_is_paused_goes_on_and_is_completed(graph: Path) -> None:
    done(graph, "rollout", "3", "--over", "10d", "--value", "50%", "--start", "2026-01-01T00:00:00Z")
    assert "3 is offered to all hosts" in run(graph, "rollout", "3", "--pause").output
    half = Rollout(int(SystemClock().now().wall.timestamp()) - 5 * 86_400, 0.0, 10 * 86_400)
    graph.write_bytes(plan.rolled_out(document.read(graph.read_bytes()), "3", half).raw)
    assert "open to 50 % of hosts; rollout stays at this share" in done(graph, "rollout", "3", "--pause")
    done(graph, "rollout", "3", "--over", "1d")
    found = rollout(graph)
    assert found is not None
    assert (round(found.start_value, 3), found.duration_secs) == (0.5, 86_400)
    done(graph, "rollout", "3", "--complete")
    assert rollout(graph) is None
    assert run(graph, "rollout", "3", "--over", "1d").exit_code == 3, "who has it would lose it"


@pytest.mark.parametrize(
    "arguments",
    [
        ["rollout", "3"],
        ["rollout", "3", "--pause", "--complete"],
        ["rollout", "3", "--pause", "--over", "1d"],
        ["rollout", "3", "--value", "1.5"],
        ["rollout", "3", "--value", "10%%"],
        ["rollout", "3", "--value", "nan"],
        ["rollout", "3", "--start", "tomorrow"],
        ["rollout", "3", "--over", "-1d"],
        ["withdraw", "3"],
        ["withdraw", "3", "--lift", "--reason", "x"],
        ["release", "--repo", "/", "--ref", "x", "--from", "1", "--from-last", "1"],
        ["release", "--repo", "/nowhere", "--ref", "x"],
    ],
)
def test_what_is_asked_wrongly_is_2(graph: Path, arguments: list[str]) -> None:
    before = graph.read_bytes()
    assert run(graph, *arguments).exit_code == 2
    assert graph.read_bytes() == before


def test_what_a_rule_refuses_is_3_and_told_with_a_remedy(graph: Path) -> None:
    result = run(graph, "withdraw", "9", "--reason", "x")
    assert (result.exit_code, result.stderr) == (
        3,
        "tidegate: there is no release 9 in the graph\n  to do: the graph has 1, 2, 3\n",
    )


def test_without_a_graph_there_is_nothing_to_change(tmp_path: Path) -> None:
    for command in (["show"], ["barrier", "1"]):
        result = run(tmp_path / "none.json", *command)
        assert result.exit_code == 1
        assert "there is no graph at" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_graph_that_cannot_be_written_keeps_its_content(graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tidegate.publish.apply.write_durably", full)
    result = run(graph, "barrier", "2")
    assert result.exit_code == 1
    assert f"{graph} cannot be written: No space left on device" in result.stderr


def test_everything_is_shown() -> None:
    graph = graph_of("1", "2", "3")
    graph = plan.dead_end(plan.barrier(graph, "2"), "1", "go\x1b[2J away")
    graph = plan.rolled_out(graph, "3", Rollout(EPOCH - 3600, 0.0, 3 * 3600))
    graph = plan.with_release(graph, new_with_floor())
    graph = plan.withdrawn(graph, "4", "bad")
    assert lines(graph) == [
        "4  no edge leads to it; rollout starts 2026-11-21T13:00:00Z; withdrawn: bad; no rollback below 2",
        "3  edges from 2 releases, open to 33 % of hosts; to all by 2026-11-21T14:00:00Z",
        "2  edges from 1 release, open to 100 % of hosts; barrier",
        "1  no edge leads to it; dead end: go [2J away",
    ]


def new_with_floor() -> plan.NewRelease:
    return plan.NewRelease("4", payload_of("4"), rollout=Rollout(EPOCH + 3600, 0.0, 60), rollback_floor="2")


def lines(graph: Document) -> list[str]:
    return [render.line(row, NOW).replace(f"  {row.node.payload[:12]}", "") for row in render.rows(graph, NOW)]


def test_the_rollout_in_json() -> None:
    graph = plan.rolled_out(graph_of("1", "2"), "2", Rollout(EPOCH, 0.25, 3600))
    row: dict[str, Any] = render.report(render.rows(graph, NOW)[0], NOW)
    assert row["rollout"] == {"start": rfc3339(NOW), "started": True, "start_value": 0.25, "duration_minutes": 60}
    assert row["share"] == 0.25


def test_show_lists_the_newest_first(graph: Path) -> None:
    assert [line[0] for line in done(graph, "show").splitlines()] == ["3", "2", "1"]
    assert [one["version"] for one in json.loads(done(graph, "show", "--json"))["releases"]] == ["3", "2", "1"]
    graph.write_bytes(document.empty().raw)
    assert done(graph, "show") == "No releases yet.\n"


def test_the_manual_has_every_command_and_option() -> None:
    page = MANUAL.read_text(encoding="utf-8")
    for name, command in publish.commands.items():
        assert f"\n**{name}** " in page
        for option in command.params:
            if isinstance(option, click.Option):
                assert all(flag in page for flag in option.opts), (name, option.opts)
    for key in render.report(render.rows(graph_of("1"), NOW)[0], NOW):
        assert f"`{key}`" in page


def test_to_plan_a_change_of_a_graph_nothing_is_needed_that_writes(graph: Path) -> None:
    graph.chmod(0o444)
    after, steps = publisher.plan_change(graph, lambda doc: plan.barrier(doc, "2"))
    assert (len(steps), after.node("2").metadata["org.fedoraproject.coreos.updates.barrier"]) == (1, "true")
    assert "barrier" not in graph.read_text(encoding="utf-8")
