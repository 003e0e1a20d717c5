"""``tidegate publish``: publish releases from an OSTree repository. For release engineers; needs no agent."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tidegate.cli import exits, output
from tidegate.cli.config_cmd import json_option
from tidegate.cli.publish_options import FOLDER, Course, dry_run_option, graph_option, rollout_options
from tidegate.cli.suggest import SuggestingGroup
from tidegate.clock import SystemClock
from tidegate.errors import TidegateError

if TYPE_CHECKING:
    from tidegate.publish.document import Document
    from tidegate.publish.plan import Origins
    from tidegate.publish.publisher import Change, Request
    from tidegate.publish.steps import Step

DEFAULT_DELTAS = 3
MAX_AGE_INDEX = 10**18 - 1


@click.group(cls=SuggestingGroup)
def publish() -> None:
    """Publish releases from an OSTree repository: deltas, summary and update graph.

    For release engineers. Every command is idempotent.
    """


@publish.command()
@click.option("--repo", required=True, metavar="DIR", type=FOLDER, help="The repository that hosts pull from.")
@click.option("--ref", required=True, metavar="REF", help="The branch to publish.")
@graph_option
@click.option("--source", metavar="DIR", type=FOLDER, help="Pull the commit from this repository, of any mode, first.")
@click.option("--commit", metavar="COMMIT", help="Publish COMMIT and set REF to it. [default: the commit of REF]")
@click.option("--version", metavar="VERSION", help="The version. [default: that of the commit's metadata]")
@click.option(
    "--from",
    "from_versions",
    multiple=True,
    metavar="VERSION",
    help="Offer it to hosts on VERSION only; may be repeated.",
)
@click.option(
    "--from-last", type=click.IntRange(0), metavar="N", help="Offer it to hosts on the N preceding releases only."
)
@click.option(
    "--age-index",
    type=click.IntRange(0, MAX_AGE_INDEX),
    metavar="N",
    help="Its position in the order of releases. [default: the newest]",
)
@click.option(
    "--deltas",
    type=click.IntRange(0),
    default=DEFAULT_DELTAS,
    show_default=True,
    metavar="N",
    help="Make deltas from the N newest releases that it is offered to.",
)
@rollout_options("rollout-")
@click.option("--barrier", is_flag=True, help="Make it a barrier: every older host has to pass through it.")
@click.option("--rollback-floor", metavar="VERSION", help="Hosts that ran it are not rolled back below VERSION.")
@click.option("--gpg-sign", "keys", multiple=True, metavar="KEY", help="Sign with KEY; may be repeated.")
@click.option("--gpg-homedir", metavar="DIR", type=FOLDER, help="The folder of the keyring. [default: gpg's]")
@dry_run_option
@json_option
def release(*, as_json: bool, dry_run: bool, **given: object) -> None:
    """Publish a release: objects, signatures, deltas, summary, and the graph last.

    After a crash at any point hosts find a consistent state, and the same command completes it. A release that is in
    the graph already keeps its edges, rollout and marks, regardless of the options.
    """
    from tidegate.publish.publisher import plan_release  # noqa: PLC0415 - `--help` needs none of these
    from tidegate.publish.publisher import publish as do_publish  # noqa: PLC0415

    request = _request(given)
    try:
        planned = asyncio.run(
            plan_release(request) if dry_run else do_publish(request, _silent if as_json else _print_step)
        )
    except TidegateError as error:
        exits.fail(error)
    _report(planned.graph, planned.version, planned.steps, as_json=as_json, dry_run=dry_run)


@publish.command()
@click.argument("version")
@graph_option
@click.option("--reason", metavar="TEXT", help="The reason; it is recorded in the graph.")
@click.option("--lift", is_flag=True, help="Lift the withdrawal: it is offered to every older release again.")
@dry_run_option
@json_option
def withdraw(version: str, *, reason: str | None, lift: bool, **given: object) -> None:
    """Withdraw VERSION: it is not offered to any host.

    Hosts that run it are updated as before; those that have staged it may still reboot into it.
    """
    from tidegate.publish import plan  # noqa: PLC0415

    why = _reason_or_lift(reason, lift=lift)
    _change(version, lambda doc: plan.reinstated(doc, version) if lift else plan.withdrawn(doc, version, why), given)


@publish.command()
@click.argument("version")
@graph_option
@click.option("--reason", metavar="TEXT", help="The reason and what to do, shown on its hosts.")
@click.option("--lift", is_flag=True, help="Lift the dead end.")
@dry_run_option
@json_option
def deadend(version: str, *, reason: str | None, lift: bool, **given: object) -> None:
    """Mark VERSION as a dead end: its hosts are not updated, and show the reason."""
    from tidegate.publish import plan  # noqa: PLC0415

    why = _reason_or_lift(reason, lift=lift)
    _change(version, lambda doc: plan.no_dead_end(doc, version) if lift else plan.dead_end(doc, version, why), given)


@publish.command()
@click.argument("version")
@graph_option
@click.option("--lift", is_flag=True, help="Lift the barrier.")
@dry_run_option
@json_option
def barrier(version: str, *, lift: bool, **given: object) -> None:
    """Make VERSION a barrier: every older host is updated to it before any newer release."""
    from tidegate.publish import plan  # noqa: PLC0415

    _change(version, lambda doc: plan.no_barrier(doc, version) if lift else plan.barrier(doc, version), given)


@publish.command()
@click.argument("version")
@graph_option
@rollout_options("")
@click.option("--pause", is_flag=True, help="Pause it: hosts that were offered the release keep the offer.")
@click.option("--complete", is_flag=True, help="Offer the release to all hosts now.")
@dry_run_option
@json_option
def rollout(version: str, *, pause: bool, complete: bool, **given: Any) -> None:
    """Change the rollout of VERSION: set a new course, pause it, or complete it.

    A new course starts now, at the share that the rollout has reached, unless --start and --value are given.
    """
    from tidegate.publish import plan  # noqa: PLC0415

    line = Course.of(given)
    if [line is not None, pause, complete].count(True) != 1:
        raise click.UsageError("use either a new course (--over, --start, --value), or --pause, or --complete")
    now = SystemClock().now().wall

    def change(doc: Document) -> Document:
        if line is None:
            return plan.paused(doc, version, now) if pause else plan.rolled_out(doc, version, None)
        reached = plan.reached(doc, version, now) if line.continues else 0.0
        return plan.rolled_out(doc, version, line.rollout(now, reached))

    _change(version, change, given)


@publish.command()
@graph_option
@json_option
def show(graph: Path, *, as_json: bool) -> None:
    """Show the releases of the graph, the newest first, and which hosts they are offered to now."""
    from tidegate.publish import render  # noqa: PLC0415
    from tidegate.publish.publisher import existing_graph  # noqa: PLC0415

    now = SystemClock().now().wall
    try:
        rows = render.rows(existing_graph(graph), now)
    except TidegateError as error:
        exits.fail(error)
    if as_json:
        output.document({"schema": 1, "releases": [render.report(row, now) for row in rows]})
    else:
        output.lines([render.line(row, now) for row in rows] or ["No releases yet."])


def _request(given: Mapping[str, Any]) -> Request:
    from tidegate.publish.gpg import Signing, default_home  # noqa: PLC0415
    from tidegate.publish.publisher import Request  # noqa: PLC0415

    line = Course.of(given)
    same = ("repo", "ref", "graph", "source", "commit", "version", "age_index", "barrier", "rollback_floor")
    return Request(
        **{name: given[name] for name in same},
        signing=Signing(given["keys"], given["gpg_homedir"] or default_home()),
        delta_count=given["deltas"],
        origins=_origins(given["from_versions"], given["from_last"]),
        rollout=None if line is None else line.rollout(SystemClock().now().wall),
    )


def _origins(versions: tuple[str, ...], last: int | None) -> Origins:
    from tidegate.publish.plan import FromAll, FromLast, FromVersions  # noqa: PLC0415

    if versions and last is not None:
        raise click.UsageError("--from and --from-last are mutually exclusive")
    if versions:
        return FromVersions(versions)
    return FromAll() if last is None else FromLast(last)


def _reason_or_lift(reason: str | None, *, lift: bool) -> str:
    if lift == (reason is not None):
        raise click.UsageError("use either --reason TEXT or --lift")
    return reason or ""


def _change(version: str, change: Change, given: Mapping[str, Any]) -> None:
    """Apply ``change`` to the graph, and print the result."""
    from tidegate.publish.publisher import make_change, plan_change  # noqa: PLC0415

    graph, dry_run = given["graph"], given["dry_run"]
    try:
        after, steps = (plan_change if dry_run else make_change)(graph, change)
    except TidegateError as error:
        exits.fail(error)
    if not given["as_json"] and not dry_run:
        for step in steps:
            _print_step(step)
    _report(after, version, steps, as_json=given["as_json"], dry_run=dry_run)


def _print_step(step: Step) -> None:
    from tidegate.publish.steps import describe  # noqa: PLC0415

    output.line(describe(step))


def _silent(_: Step) -> None:
    """Print nothing: JSON is printed at the end."""


def _report(graph: Document, version: str, steps: Sequence[Step], *, as_json: bool, dry_run: bool) -> None:
    """Print the steps that were or would be taken, and the resulting state of the release."""
    from tidegate.publish import render  # noqa: PLC0415
    from tidegate.publish.steps import describe  # noqa: PLC0415

    now = SystemClock().now().wall
    row = next(row for row in render.rows(graph, now) if row.node.version == version)
    if as_json:
        done = [describe(step) for step in steps]
        report = {"schema": 1, "dry_run": dry_run, "changed": bool(steps), "steps": done}
        output.document({**report, "release": render.report(row, now)})
        return
    if dry_run:
        for step in steps:
            output.line(f"would {describe(step)}")
    if not steps:
        output.line("nothing to do")
    output.line(render.line(row, now))
