"""The whole examination: every area side by side, each within its time, whatever the others meet."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

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
from tidegate.doctor.reading import json_object
from tidegate.errors import TidegateError
from tidegate.identity import identify
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
"""In the order in which they are told: what has to work first comes first."""

AREA_SECS = 25.0
"""For each area, and so for all of them, as they are looked at side by side. A person waits for it."""

SCHEMA = 1
STATUS_FILE = Path("/run/tidegate/public/status.json")


def read_patient() -> Host:
    """The host that this runs on."""
    loaded = load(DEFAULT_ROOTS)
    settings = loaded.settings or Settings()
    return Host(
        settings=settings,
        problems=loaded.problems,
        snapshot=json_object(STATUS_FILE),
        identity=identify(settings.identity),
        agent=folders.agent_user(),
        uid=os.geteuid(),
    )


async def examine(
    host: Host, areas: Mapping[str, Examination] = AREAS, *, area_secs: float = AREA_SECS
) -> tuple[Finding, ...]:
    """Look at every area. Nothing is raised: an area that cannot be looked at is a finding."""
    found = await asyncio.gather(*(_one(name, look, host, area_secs) for name, look in areas.items()))
    return tuple(finding for findings in found for finding in findings)


async def _one(name: str, look: Examination, host: Host, area_secs: float) -> Sequence[Finding]:
    area = Area(name)
    try:
        async with asyncio.timeout(area_secs):
            return await look(host)
    except TidegateError as err:
        return [area.unknown(name, f"it cannot be looked at: {err.message}", err.remedy or "see the areas above")]
    except TimeoutError:
        return [area.unknown(name, f"it could not be looked at within {area_secs:g} s", "look again when it is calmer")]
    except Exception as err:  # noqa: BLE001 - a defect in one area must not take the others along
        text = f"looking at it failed: {type(err).__name__}: {err}"
        return [area.unknown(name, text, "report this defect with the output of tidegate doctor --json")]


def worst(findings: Sequence[Finding]) -> Status:
    """What all of them come to. What could not be seen is less than what was seen to be wrong."""
    order = (Status.PROBLEM, Status.WARNING, Status.UNKNOWN)
    return next((status for status in order if any(one.status is status for one in findings)), Status.OK)


def document(findings: Sequence[Finding], host: Host) -> dict[str, object]:
    """The document of ``tidegate doctor --json``."""
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
