"""Check all areas concurrently, each with its own deadline and independent of errors in the others."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence

from tidegate.doctor import (
    bootloader,
    clock,
    configuration,
    discovery,
    engine,
    folders,
    health,
    identity,
    lock,
    other_updaters,
    policies,
    units,
)
from tidegate.doctor.base import Area, Examination, Finding, Host, Status
from tidegate.errors import TidegateError
from tidegate.identity import identify
from tidegate.report.status_file import read_snapshot
from tidegate.settings import DEFAULT_ROOTS, Settings, load

AREAS: Mapping[str, Examination] = {
    "units": units.examine,
    "policies": policies.examine,
    "folders": folders.examine,
    "configuration": configuration.examine,
    "engine": engine.examine,
    "boot": bootloader.examine,
    "discovery": discovery.examine,
    "lock": lock.examine,
    "clock": clock.examine,
    "health": health.examine,
    "identity": identity.examine,
    "rivals": other_updaters.examine,
}
"""The areas in the order of the report: what others depend on comes first."""

AREA_SECS = 25.0
"""Deadline for each area, and, as they are checked concurrently, for all of them."""

SCHEMA = 1


def read_host() -> Host:
    """Read the facts about this host that several areas use."""
    loaded = load(DEFAULT_ROOTS)
    settings = loaded.settings or Settings()
    return Host(
        settings=settings,
        problems=loaded.problems,
        snapshot=_snapshot(),
        identity=identify(settings.identity),
        agent=folders.agent_user(),
        uid=os.geteuid(),
    )


def _snapshot() -> Mapping[str, object]:
    """The agent's snapshot; an empty one if it cannot be read, which the area of files says."""
    try:
        return read_snapshot()
    except (OSError, ValueError):
        return {}


async def examine(
    host: Host, areas: Mapping[str, Examination] = AREAS, *, area_secs: float = AREA_SECS
) -> tuple[Finding, ...]:
    """Check every area. Raises nothing: an area that cannot be checked is a finding."""
    found = await asyncio.gather(*(_check(name, check, host, area_secs) for name, check in areas.items()))
    return tuple(finding for findings in found for finding in findings)


async def _check(name: str, check: Examination, host: Host, area_secs: float) -> Sequence[Finding]:
    area = Area(name)
    try:
        async with asyncio.timeout(area_secs):
            return await check(host)
    except TidegateError as err:
        return [area.unknown(name, f"it cannot be checked: {err.message}", err.remedy or "see the areas above")]
    except TimeoutError:
        return [
            area.unknown(
                name, f"it could not be checked within {area_secs:g} s", "try again when the host is less busy"
            )
        ]
    except Exception as err:  # noqa: BLE001 - a defect in one area must not take the others along
        text = f"checking it failed: {type(err).__name__}: {err}"
        return [area.unknown(name, text, "report this bug with the output of tidegate doctor --json")]


def worst(findings: Sequence[Finding]) -> Status:
    """The highest severity: problem, warning, unknown, ok, in this order."""
    order = (Status.PROBLEM, Status.WARNING, Status.UNKNOWN)
    return next((status for status in order if any(one.status is status for one in findings)), Status.OK)


def document(findings: Sequence[Finding], host: Host) -> dict[str, object]:
    """The JSON document of ``tidegate doctor --json``."""
    return {
        "schema": SCHEMA,
        "verdict": worst(findings),
        "as_root": host.is_root,
        "counts": {status: sum(one.status is status for one in findings) for status in Status},
        "findings": [
            {
                "area": one.area,
                "check": one.check,
                "status": one.status,
                "message": one.message,
                "evidence": list(one.evidence),
                "remedy": one.remedy,
            }
            for one in findings
        ],
    }
