"""Runs one verb of the engine and prints what came of it as JSON: the tests call this on a pretended host.

``python -m tests.integration.ostree.drive VERB [PAYLOAD]``
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
from typing import Any

from tidegate.engines.base import EngineStatus, Progress, ProgressSink
from tidegate.engines.ostree import Limits, OstreeEngine
from tidegate.errors import TidegateError
from tidegate.release import Release

# Pauses as in real life would make the suite slow; their lengths are tested by themselves.
QUICK = Limits(stage_secs=60, silence_secs=10, query_secs=20, change_secs=30, attempts=3, backoff_base_secs=0.01)


async def perform(engine: OstreeEngine, verb: str, payload: str, progress: ProgressSink) -> dict[str, Any] | None:
    """One verb; gives its result, where it has one."""
    match verb:
        case "status":
            return _status(await engine.status())
        case "latest":
            found = await engine.latest()
            return {"booted": _plain(found.booted), "newest": _plain(found.newest), "end_of_life": found.end_of_life}
        case "stage":
            await engine.stage(Release("wanted", payload), progress)
        case "prune_rollback":
            await engine.prune_rollback()
        case _:
            await getattr(engine, verb)(payload)
    return None


def _status(status: EngineStatus) -> dict[str, Any]:
    """The status but its traits, which are not JSON; of a failure its message and time."""
    failure = status.finalize_failure
    shown = dataclasses.asdict(dataclasses.replace(status, finalize_failure=None))
    del shown["traits"]
    at = failure.at.timestamp() if failure is not None and failure.at is not None else None
    return {**shown, "finalize_failure": failure and failure.message, "failed_at": at}


def _plain(release: Release) -> list[str | int | None]:
    return [release.version, release.payload, release.age_index]


async def report(engine: OstreeEngine, verb: str, payload: str) -> dict[str, Any]:
    """The same as plain data: result and steps shown, or the error."""
    steps: list[Progress] = []
    try:
        result = await perform(engine, verb, payload, steps.append)
    except TidegateError as error:
        return {"kind": error.kind.value, "message": error.message, "remedy": error.remedy}
    return {"result": result, "steps": [step.step for step in steps]}


def main() -> None:
    """Drive the host that this runs on."""
    verb, payload = [*sys.argv[1:], "", ""][:2]
    print(json.dumps(asyncio.run(report(OstreeEngine.for_host(QUICK), verb, payload))))


if __name__ == "__main__":
    main()
