"""``tidegate publish``: from an OSTree repository to what hosts read. For those who build releases; needs no agent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tidegate.cli import exits
from tidegate.cli.config_cmd import json_option
from tidegate.cli.publish_options import FOLDER, Line, dry_run_option, graph_option, rollout_options
from tidegate.clock import SystemClock
from tidegate.errors import TidegateError

if TYPE_CHECKING:
    from tidegate.publish.document import Document
    from tidegate.publish.plan import Origins
    from tidegate.publish.publisher import Asked, Change
    from tidegate.publish.steps import Step

DEFAULT_DELTAS = 3
MAX_AGE_INDEX = 10**18 - 1


@click.group()
def publish() -> None:
    """Publish releases: from an OSTree repository to deltas, summary and update graph.

    For those who build releases. Every command may be given again: what is done already stays as it is.
    """


@publish.command()
@click.option("--repo", required=True, metavar="DIR", type=FOLDER, help="The repository that hosts pull from.")
@click.option("--ref", required=True, metavar="REF", help="The branch that is published.")
@graph_option
@click.option("--source", metavar="DIR", type=FOLDER, help="A repository to take the commit from, of any mode.")
@click.option(
    "--commit", metavar="COMMIT", help="Publish COMMIT and let REF lead to it; what REF leads to unless given."
)
@click.option("--version", metavar="VERSION", help="Its version; that of the commit's metadata unless given.")
@click.option("--from", "from_versions", multiple=True, metavar="VERSION", help="Offer it to hosts on VERSION only.")
@click.option(
    "--from-last", type=click.IntRange(0), metavar="N", help="Offer it to hosts on the N releases before only."
)
@click.option(
    "--age-index", type=click.IntRange(0, MAX_AGE_INDEX), metavar="N", help="Its place; the newest unless given."
)
@click.option(
    "--deltas",
    type=click.IntRange(0),
    default=DEFAULT_DELTAS,
    show_default=True,
    metavar="N",
    help="Make deltas from the N newest releases whose hosts go to it.",
)
@rollout_options("rollout-")
@click.option("--barrier", is_flag=True, help="Every older host has to go through it.")
@click.option("--rollback-floor", metavar="VERSION", help="Hosts that ran it are not rolled back below VERSION.")
@click.option("--gpg-sign", "keys", multiple=True, metavar="KEY", help="Sign with this key, and with each further one.")
@click.option("--gpg-homedir", metavar="DIR", type=FOLDER, help="The keyring; gpg's own unless given.")
@dry_run_option
@json_option
def release(*, as_json: bool, dry_run: bool, **given: object) -> None:
    """Publish a release: objects, signatures, deltas, summary, and the graph last.

    A crash at any point leaves what hosts can use; the same command again completes it. A release that the graph has
    already keeps its edges, rollout and marks, whatever the options say.
    """
    from tidegate.publish.publisher import plan_release  # noqa: PLC0415 - `--help` needs none of it
    from tidegate.publish.publisher import publish as do_publish  # noqa: PLC0415

    asked = _asked(given)
    try:
        planned = asyncio.run(plan_release(asked) if dry_run else do_publish(asked, _silent if as_json else _tell))
    except TidegateError as error:
        exits.fail(error)
    _report(planned.graph, planned.version, planned.steps, as_json=as_json, dry_run=dry_run)


@publish.command()
@click.argument("version")
@graph_option
@click.option("--reason", metavar="TEXT", help="Why; it is kept in the graph.")
@click.option("--lift", is_flag=True, help="Take it back: every older release leads there again.")
@dry_run_option
@json_option
def withdraw(version: str, *, reason: str | None, lift: bool, **given: object) -> None:
    """Offer VERSION to no host any more.

    Hosts that run it go on from there as before; those that have staged it may still reboot into it.
    """
    from tidegate.publish import plan  # noqa: PLC0415

    why = _reason_or_lift(reason, lift=lift)
    _change(version, lambda doc: plan.reinstated(doc, version) if lift else plan.withdrawn(doc, version, why), given)


@publish.command()
@click.argument("version")
@graph_option
@click.option("--reason", metavar="TEXT", help="Why, and what to do; its hosts show it.")
@click.option("--lift", is_flag=True, help="Take it back.")
@dry_run_option
@json_option
def deadend(version: str, *, reason: str | None, lift: bool, **given: object) -> None:
    """Tell hosts on VERSION that nothing leads away from it, and why."""
    from tidegate.publish import plan  # noqa: PLC0415

    why = _reason_or_lift(reason, lift=lift)
    _change(version, lambda doc: plan.no_dead_end(doc, version) if lift else plan.dead_end(doc, version, why), given)


@publish.command()
@click.argument("version")
@graph_option
@click.option("--lift", is_flag=True, help="Take it back.")
@dry_run_option
@json_option
def barrier(version: str, *, lift: bool, **given: object) -> None:
    """Let every older host go through VERSION before it goes any further."""
    from tidegate.publish import plan  # noqa: PLC0415

    _change(version, lambda doc: plan.no_barrier(doc, version) if lift else plan.barrier(doc, version), given)


@publish.command()
@click.argument("version")
@graph_option
@rollout_options("")
@click.option("--pause", is_flag=True, help="Go no further; who was offered it keeps it.")
@click.option("--complete", is_flag=True, help="Offer it to all hosts at once.")
@dry_run_option
@json_option
def rollout(version: str, *, pause: bool, complete: bool, **given: Any) -> None:
    """Change the rollout of VERSION: give it a new line, pause it, or complete it.

    A new line starts now and where the rollout has come to, unless --start and --value say otherwise.
    """
    from tidegate.publish import plan  # noqa: PLC0415

    line = Line.of(given)
    if [line is not None, pause, complete].count(True) != 1:
        raise click.UsageError("give a new line (--over, --start, --value), or --pause, or --complete")
    now = SystemClock().now().wall

    def change(doc: Document) -> Document:
        if line is None:
            return plan.paused(doc, version, now) if pause else plan.rolled_out(doc, version, None)
        reached = plan.reached(doc, version, now) if line.goes_on else 0.0
        return plan.rolled_out(doc, version, line.rollout(now, reached))

    _change(version, change, given)


@publish.command()
@graph_option
@json_option
def show(graph: Path, *, as_json: bool) -> None:
    """The releases of the graph, the newest first, and to whom they are offered now."""
    from tidegate.publish import render  # noqa: PLC0415
    from tidegate.publish.publisher import existing_graph  # noqa: PLC0415

    now = SystemClock().now().wall
    try:
        rows = render.rows(existing_graph(graph), now)
    except TidegateError as error:
        exits.fail(error)
    if as_json:
        click.echo(json.dumps({"schema": 1, "releases": [render.report(row, now) for row in rows]}, indent=1))
    else:
        click.echo("\n".join(render.line(row, now) for row in rows) or "No releases yet.")


def _asked(given: Mapping[str, Any]) -> Asked:
    from tidegate.publish.gpg import Signing, default_home  # noqa: PLC0415
    from tidegate.publish.publisher import Asked  # noqa: PLC0415

    line = Line.of(given)
    same = ("repo", "ref", "graph", "source", "commit", "version", "age_index", "barrier", "rollback_floor")
    return Asked(
        **{name: given[name] for name in same},
        signing=Signing(given["keys"], given["gpg_homedir"] or default_home()),
        delta_count=given["deltas"],
        origins=_origins(given["from_versions"], given["from_last"]),
        rollout=None if line is None else line.rollout(SystemClock().now().wall),
    )


def _origins(versions: tuple[str, ...], last: int | None) -> Origins:
    from tidegate.publish.plan import FromAll, FromLast, FromVersions  # noqa: PLC0415

    if versions and last is not None:
        raise click.UsageError("--from and --from-last exclude each other")
    if versions:
        return FromVersions(versions)
    return FromAll() if last is None else FromLast(last)


def _reason_or_lift(reason: str | None, *, lift: bool) -> str:
    if lift == (reason is not None):
        raise click.UsageError("say why with --reason TEXT, or take it back with --lift")
    return reason or ""


def _change(version: str, change: Change, given: Mapping[str, Any]) -> None:
    """Change the graph, and tell of it."""
    from tidegate.publish.publisher import make_change, plan_change  # noqa: PLC0415

    graph, dry_run = given["graph"], given["dry_run"]
    try:
        after, steps = (plan_change if dry_run else make_change)(graph, change)
    except TidegateError as error:
        exits.fail(error)
    if not given["as_json"] and not dry_run:
        for step in steps:
            _tell(step)
    _report(after, version, steps, as_json=given["as_json"], dry_run=dry_run)


def _tell(step: Step) -> None:
    from tidegate.publish.steps import told  # noqa: PLC0415

    click.echo(told(step))


def _silent(_: Step) -> None:
    """JSON is told at the end."""


def _report(graph: Document, version: str, steps: Sequence[Step], *, as_json: bool, dry_run: bool) -> None:
    """What was or would be done, and the release as it is then."""
    from tidegate.publish import render  # noqa: PLC0415
    from tidegate.publish.steps import told as step_told  # noqa: PLC0415

    now = SystemClock().now().wall
    row = next(row for row in render.rows(graph, now) if row.node.version == version)
    if as_json:
        done = [step_told(step) for step in steps]
        report = {"schema": 1, "dry_run": dry_run, "changed": bool(steps), "steps": done}
        click.echo(json.dumps({**report, "release": render.report(row, now)}, indent=1))
        return
    if dry_run:
        for step in steps:
            click.echo(f"would {step_told(step)}")
    if not steps:
        click.echo("nothing to do: it is all there")
    click.echo(render.line(row, now))
