"""``tidegate check`` and ``stage``: looking for a release, and what was found, for people and for programs.

The agent answers a request in words, and has written its snapshot before it does (:mod:`tidegate.loop`): what a program
wants to know of the look is read there, once the answer has come.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from tidegate.cli import exits
from tidegate.cli.snapshot_file import read
from tidegate.cli.update_cmd import answer_of, ask
from tidegate.jsonread import Document, rows, table

if TYPE_CHECKING:
    from tidegate.errors import TidegateError

SCHEMA = 1

CHECK_SECS = 15 * 60.0
"""Longer than the agent's own deadline for a check, so that its account of what went wrong arrives."""

STAGE_SECS = 13 * 3600.0
"""Longer than the agent's own deadline for a staging, which has to do on a slow line."""

_json_option = click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON: see tidegate(1).")


@click.command()
@_json_option
def check(*, as_json: bool) -> None:
    """Look for a newer release now."""
    _look("Check", CHECK_SECS, as_json=as_json)


@click.command()
@_json_option
def stage(*, as_json: bool) -> None:
    """Download and prepare the next release now; the next boot still leads into the running one."""
    _look("Stage", STAGE_SECS, as_json=as_json)


def found(answer: str, snapshot: Document) -> Document:
    """What came of a look, from what the agent says of itself after it."""
    error = table(snapshot, "last_error")
    of_the_look = str(error.get("kind", "")).startswith("discovery.")
    return {
        "schema": SCHEMA,
        "answer": answer,
        "error": {key: error.get(key) for key in ("kind", "message", "remedy")} if of_the_look else None,
        "checked_at": snapshot.get("last_check"),
        "booted": snapshot.get("booted"),
        "target": snapshot.get("target"),
        "staged": snapshot.get("staged"),
        "passed_over": rows(snapshot, "passed_over"),
        "held_back": rows(snapshot, "held_back"),
        "dead_end": snapshot.get("dead_end"),
        "next_check": snapshot.get("next_check"),
    }


def not_found(error: TidegateError) -> Document:
    """The same keys for a request that came to nothing: what an earlier one found is not its answer."""
    told = {"kind": error.kind, "message": error.message, "remedy": error.remedy}
    return {**found("", {}), "answer": None, "error": told}


def _look(member: str, timeout_secs: float, *, as_json: bool) -> None:
    if not as_json:
        ask(member, timeout_secs)
        return
    from tidegate.errors import TidegateError  # noqa: PLC0415 - as in asking

    try:
        document = found(answer_of(member, timeout_secs), read())
    except TidegateError as err:
        click.echo(json.dumps(not_found(err), indent=1))
        exits.fail(err)
    click.echo(json.dumps(document, indent=1))
