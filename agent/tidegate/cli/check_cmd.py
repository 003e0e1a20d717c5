"""``tidegate check`` and ``stage``: find or stage a newer release, and print the result as text or JSON.

The agent answers with a sentence, after it has written its snapshot (:mod:`tidegate.loop`). The JSON document is
therefore built from the snapshot, which is read after the answer has arrived.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tidegate.cli.snapshot_file import read
from tidegate.cli.update_cmd import ask, prompt_option
from tidegate.jsonread import Document, rows, table

if TYPE_CHECKING:
    from tidegate.errors import TidegateError

SCHEMA = 1

CHECK_SECS = 15 * 60.0
"""Longer than the agent's own deadline for a check, so that its error message arrives."""

STAGE_SECS = 13 * 3600.0
"""Longer than the agent's own deadline for staging, which allows for slow lines."""

_json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON: see tidegate(1).")


@click.command()
@_json_option
@prompt_option
def check(*, as_json: bool, allow_interactive: bool | None) -> None:
    """Check for a newer release now."""
    ask("Check", CHECK_SECS, document=_document if as_json else None, allow_interactive=allow_interactive)


@click.command()
@_json_option
@prompt_option
def stage(*, as_json: bool, allow_interactive: bool | None) -> None:
    """Download and prepare the next release now.

    The next boot still starts the running release.
    """
    ask("Stage", STAGE_SECS, document=_document if as_json else None, allow_interactive=allow_interactive)


def found(answer: str, snapshot: Document) -> Document:
    """The result as JSON: the agent's ``answer`` and what its ``snapshot`` says of releases."""
    error = table(snapshot, "last_error")
    from_discovery = str(error.get("kind", "")).startswith("discovery.")
    return {
        "schema": SCHEMA,
        "answer": answer,
        "error": {key: error.get(key) for key in ("kind", "message", "remedy")} if from_discovery else None,
        "checked_at": snapshot.get("last_check"),
        "booted": snapshot.get("booted"),
        "target": snapshot.get("target"),
        "staged": snapshot.get("staged"),
        "passed_over": rows(snapshot, "passed_over"),
        "deferred": rows(snapshot, "deferred"),
        "dead_end": snapshot.get("dead_end"),
        "next_check": snapshot.get("next_check"),
    }


def failed(error: TidegateError) -> Document:
    """The same keys for a failed request; results of earlier requests are left out."""
    reported = {"kind": error.kind, "message": error.message, "remedy": error.remedy}
    return {**found("", {}), "answer": None, "error": reported}


def _document(outcome: str | TidegateError) -> Document:
    return found(outcome, read()) if isinstance(outcome, str) else failed(outcome)
