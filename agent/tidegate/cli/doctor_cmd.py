"""``tidegate doctor``: what keeps this host from being updated, with a remedy for each finding."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from tidegate.cli import exits

if TYPE_CHECKING:
    from tidegate.doctor.base import Finding

MARKS = {"ok": "ok", "warning": "WARNING", "problem": "PROBLEM", "unknown": "unknown"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as a document.")
def doctor(*, as_json: bool) -> None:
    """Look for what keeps this host from being updated, and say what to do about it.

    Nothing is changed by it, no lock is taken and no reboot can come of it. Run it as root to see everything; whoever
    else runs it is told what could not be seen. Exits with 1 where there is a problem, else with 0, warnings or not.
    """
    import asyncio  # noqa: PLC0415 - `--help` needs nothing of this

    from tidegate.doctor import run  # noqa: PLC0415
    from tidegate.doctor.base import Status  # noqa: PLC0415

    patient = run.read_patient()
    findings = asyncio.run(run.examine(patient))
    if as_json:
        click.echo(json.dumps(run.document(findings, patient), indent=1))
    else:
        click.echo("\n".join(lines(findings)))
    if run.worst(findings) is Status.PROBLEM:
        raise SystemExit(exits.FAILED)


def lines(findings: Sequence[Finding]) -> Iterator[str]:
    """The findings for people, a line at a time; what they rest on only where something is not well."""
    width = max((len(finding.area) for finding in findings), default=0)
    for finding in findings:
        yield f"{MARKS[finding.status]:<8} {finding.area:<{width}}  {finding.message}"
        if finding.status != "ok":
            indent = " " * (width + 11)
            yield from (f"{indent}{line}" for line in finding.evidence)
            yield f"{indent}to do: {finding.remedy}"
    yield ""
    yield _sum(findings)


def _sum(findings: Sequence[Finding]) -> str:
    counts = {status: sum(finding.status == status for finding in findings) for status in MARKS}
    if counts["problem"] == 0 and counts["warning"] == 0:
        unseen = f", {counts['unknown']} could not be looked at" if counts["unknown"] else ""
        return f"{counts['ok']} checks, nothing wrong{unseen}."
    told = (f"{counts['problem']} problem(s)", f"{counts['warning']} warning(s)", f"{counts['unknown']} unknown")
    return f"{', '.join(told)}, {counts['ok']} fine."
