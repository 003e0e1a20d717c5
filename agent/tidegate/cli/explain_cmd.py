"""``tidegate explain``: ask every gate now, and show why the host has not rebooted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime

import click

from tidegate.cli import exits, output
from tidegate.cli.snapshot_file import read, text
from tidegate.cli.terminal import show
from tidegate.cli.wording import reason_of, when
from tidegate.clock import SystemClock
from tidegate.jsonread import Document, rows, table

EXPLAIN_SECS = 6 * 60.0
"""Longer than the deadlines of all gates together."""

_MARKS: Mapping[str, str] = {"allow": "allows", "wait": "WAITS", "not_asked": "-"}
COLOURS = {"allows": "green", "WAITS": "yellow", "to do:": "cyan"}

REASON_COLUMNS = 12
"""From the end of the column of gates to the reasons, less what that column is indented."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON: see tidegate(1).")
def explain(*, as_json: bool) -> None:
    """Show why the host has not rebooted, and what would change that.

    Asks every gate now and shows its verdict, since when, until when, and the command that would lift it. This changes
    nothing and cannot cause a reboot. If the agent does not answer, its last snapshot is shown, and the exit status
    is 4.
    """
    document, why_not = _explanation()
    if as_json:
        output.document(document)
    else:
        show(lines(document, SystemClock().now().wall), hang=_width(document) + REASON_COLUMNS, marks=COLOURS)
    if why_not is not None:
        exits.complain(f"shown is the agent's last snapshot: {why_not}", "systemctl status tidegate.service")
        raise SystemExit(exits.UNREACHABLE)


def _explanation() -> tuple[Document, str | None]:
    """The agent's answer and None; or, if it cannot be asked, a document from its snapshot and the error."""
    import asyncio  # noqa: PLC0415 - asyncio and the bus take longer to import than all of `status`

    from tidegate.agent_api.client import ask_agent  # noqa: PLC0415
    from tidegate.errors import TidegateError  # noqa: PLC0415

    try:
        answer = asyncio.run(ask_agent("Explain", EXPLAIN_SECS))
    except TidegateError as err:
        return _from_snapshot(read()), err.message
    return {**json.loads(answer), "source": "bus"}, None


def _from_snapshot(snapshot: Document) -> Document:
    gates = rows(snapshot, "gates")
    return {
        "schema": 1,
        "verdict": "wait" if any(text(row, "verdict") == "wait" for row in gates) else "allow",
        **table(snapshot, "prospect"),
        "gates": gates,
        "source": "snapshot",
    }


def lines(document: Document, now: datetime) -> Iterator[str]:
    """Format the document as text, line by line."""
    yield _headline(document, now)
    width = _width(document)
    for row in rows(document, "gates"):
        gate, mark = text(row, "gate"), _MARKS.get(text(row, "verdict"), "?")
        yield f"  {gate:<{width}}  {mark:<6}  {reason_of(row, now)}".rstrip()
        if text(row, "remedy"):
            yield f"  {'':<{width}}          to do: {text(row, 'remedy')}"


def _width(document: Document) -> int:
    """The width of the column of gates."""
    return max((len(text(row, "gate")) for row in rows(document, "gates")), default=0)


def _headline(document: Document, now: datetime) -> str:
    version = text(table(document, "release"), "version")
    waits = text(document, "verdict") == "wait"
    if not document.get("staged"):
        what = f"{version} is not staged; if it were" if version else "no release is staged; if one were"
        return f"{what}, the host would {'wait' if waits else 'reboot into it'}:"
    since = f" since {when(text(document, 'since'), now)}" if text(document, "since") else ""
    if text(document, "purpose") == "rollback":
        return f"the host is to roll back to {version}{since} and {'waits' if waits else 'every gate allows it'}:"
    return f"{version} is staged{since} and {'waits' if waits else 'every gate allows it'}:"
