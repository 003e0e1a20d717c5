"""``tidegate explain``: why has this host not rebooted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime

import click

from tidegate.cli import exits
from tidegate.cli.snapshot_file import read, text
from tidegate.cli.wording import reason_of, when
from tidegate.clock import SystemClock
from tidegate.jsonread import Document, rows, table

EXPLAIN_SECS = 6 * 60.0
"""Longer than all gates together may take to answer."""

_MARKS: Mapping[str, str] = {"allow": "allows", "wait": "WAITS", "not_asked": "-"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the document.")
def explain(*, as_json: bool) -> None:
    """Every rule that has a say in a reboot: what it says now, since when, until when, and what would lift it.

    Asks all gates afresh; nothing is changed by it, and no reboot can come of it. Where the agent does not answer, what
    it said last is told, and the exit code is 4.
    """
    document, why_not = _asked()
    if as_json:
        click.echo(json.dumps(document, indent=1))
    else:
        click.echo("\n".join(lines(document, SystemClock().now().wall)))
    if why_not is not None:
        exits.complain(f"this is what the agent left behind: {why_not}", "systemctl status tidegate.service")
        raise SystemExit(exits.UNREACHABLE)


def _asked() -> tuple[Document, str | None]:
    """The agent's answer; else what its snapshot has, and why."""
    import asyncio  # noqa: PLC0415 - asyncio and the bus cost more than all of `status`

    from tidegate.agent_api.client import ask_agent  # noqa: PLC0415
    from tidegate.errors import TidegateError  # noqa: PLC0415

    try:
        answer = asyncio.run(ask_agent("Explain", EXPLAIN_SECS))
    except TidegateError as err:
        return _left_behind(read()), err.message
    return {**json.loads(answer), "source": "bus"}, None


def _left_behind(snapshot: Document) -> Document:
    gates = rows(snapshot, "gates")
    return {
        "schema": 1,
        "verdict": "wait" if any(text(row, "verdict") == "wait" for row in gates) else "allow",
        **table(snapshot, "prospect"),
        "gates": gates,
        "source": "snapshot",
    }


def lines(document: Document, now: datetime) -> Iterator[str]:
    """The document for people, a line at a time."""
    yield _headline(document, now)
    gates = rows(document, "gates")
    width = max((len(text(row, "gate")) for row in gates), default=0)
    for row in gates:
        gate, mark = text(row, "gate"), _MARKS.get(text(row, "verdict"), "?")
        yield f"  {gate:<{width}}  {mark:<6}  {reason_of(row, now)}".rstrip()
        if text(row, "remedy"):
            yield f"  {'':<{width}}          to do: {text(row, 'remedy')}"


def _headline(document: Document, now: datetime) -> str:
    version = text(table(document, "release"), "version")
    waits = text(document, "verdict") == "wait"
    if not document.get("staged"):
        what = f"{version} is not staged; if it were" if version else "no release is staged; if one were"
        return f"{what}, the host would {'wait' if waits else 'reboot into it'}:"
    since = f" since {when(text(document, 'since'), now)}" if text(document, "since") else ""
    if text(document, "purpose") == "rollback":
        return f"the host is to go back to {version}{since} and {'waits' if waits else 'nothing holds it'}:"
    return f"{version} is staged{since} and {'waits' if waits else 'nothing holds it'}:"
