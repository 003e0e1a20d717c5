"""``tidegate history``: the attempts in the snapshot."""

from __future__ import annotations

import click

from tidegate.cli import output
from tidegate.cli.snapshot_file import read, text
from tidegate.cli.terminal import show
from tidegate.cli.wording import clock_time
from tidegate.jsonread import Document, rows, table

COLOURS = {
    "applied": "green",
    **dict.fromkeys(("rejected", "fell_back", "finalize_failed"), "red"),
    "not_attempted": "yellow",
}


@click.command()
@click.option("--json", "as_json", is_flag=True, help='Print {"schema": 1, "history": [...]}, oldest first.')
def history(*, as_json: bool) -> None:
    """Show past update attempts and their outcomes, oldest first."""
    attempts = rows(read(), "history")
    if as_json:
        output.document({"schema": 1, "history": attempts})
        return
    show(map(_row, attempts) if attempts else ["No attempt yet."], hang=4, marks=COLOURS)


def _row(attempt: Document) -> str:
    move = f"{text(table(attempt, 'from'), 'version')} -> {text(table(attempt, 'to'), 'version')}"
    began = clock_time(text(attempt, "started_at"))
    row = f"{began}  {move:<24}  {text(attempt, 'outcome'):<15}  {text(attempt, 'reason')}"
    detail = text(attempt, "detail")
    return f"{row}: {detail}" if detail else row
