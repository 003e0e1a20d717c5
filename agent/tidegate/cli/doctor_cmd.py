"""``tidegate doctor``: check what keeps this host from being updated, with a remedy for each finding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tidegate.cli import exits, output
from tidegate.cli.terminal import show

if TYPE_CHECKING:
    from tidegate.doctor.base import Finding, Host

MARKS = {"problem": "PROBLEM", "warning": "WARNING", "unknown": "unknown", "ok": "ok"}
"""What is printed for each status, the worst first."""

COLOURS = {"PROBLEM": "red", "WARNING": "yellow", "unknown": "magenta", "ok": "green", "to do:": "cyan"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON: see tidegate(1).")
@click.option(
    "--report",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write a bundle for a bug report (.tar.gz): findings, status, configuration and journal, no secrets.",
)
def doctor(report: Path | None, *, as_json: bool) -> None:
    """Check what keeps this host from being updated, and print a remedy for each finding.

    This changes nothing, takes no lock and cannot cause a reboot. Run it as root for a complete result; other users
    are shown what could not be checked. Exits with 1 if there is a problem, otherwise with 0, warnings or not.
    """
    import asyncio  # noqa: PLC0415 - `--help` needs none of these

    from tidegate.doctor import run  # noqa: PLC0415
    from tidegate.doctor.base import Status  # noqa: PLC0415

    host = run.read_host()
    findings = asyncio.run(run.examine(host))
    document = run.document(findings, host)
    if report is not None:
        _write_bundle(report, host, document)
    if as_json:
        output.document(document)
    else:
        show(lines(findings), hang=_indent(findings), marks=COLOURS)
    if run.worst(findings) is Status.PROBLEM:
        raise SystemExit(exits.FAILED)


def _write_bundle(path: Path, host: Host, document: Mapping[str, object]) -> None:
    import asyncio  # noqa: PLC0415 - as above

    from tidegate.doctor import bundle  # noqa: PLC0415

    try:
        bundle.write(path, asyncio.run(bundle.files(host, document)))
    except OSError as err:
        exits.complain(f"{path}: {err.strerror}", "choose another file for --report")
        raise SystemExit(exits.FAILED) from err
    output.line(f"wrote {path}: read it before you pass it on", err=True)


def lines(findings: Sequence[Finding]) -> Iterator[str]:
    """Format the findings as text, the worst first; with evidence and remedy for those that are not ok."""
    indent = " " * _indent(findings)
    for finding in sorted(findings, key=lambda one: list(MARKS).index(one.status)):
        yield f"{MARKS[finding.status]:<8} {finding.area:<{len(indent) - 11}}  {finding.message}"
        if finding.status != "ok":
            yield from (f"{indent}{line}" for line in finding.evidence)
            yield f"{indent}to do: {finding.remedy}"
    yield ""
    yield _totals(findings)


def _indent(findings: Sequence[Finding]) -> int:
    """The column at which messages begin: after the mark of 8 columns and the area."""
    return max((len(finding.area) for finding in findings), default=0) + 11


def _totals(findings: Sequence[Finding]) -> str:
    counts = {status: sum(finding.status == status for finding in findings) for status in MARKS}
    if counts["problem"] == 0 and counts["warning"] == 0:
        unknown = f", {counts['unknown']} unknown" if counts["unknown"] else ""
        return f"No problems: {counts['ok']} ok{unknown}."
    problems, warnings = (_count(counts[status], status) for status in ("problem", "warning"))
    return f"{problems}, {warnings}, {counts['unknown']} unknown, {counts['ok']} ok."


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
