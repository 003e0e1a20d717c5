"""Area ``discovery``: whether the source of updates answers, and knows the running release."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from tidegate.clock import SystemClock
from tidegate.discovery.base import Discovery, Offers
from tidegate.discovery.cincinnati import Cincinnati
from tidegate.discovery.native import Native
from tidegate.discovery.select import discovery_for
from tidegate.discovery.static_graph import StaticGraph
from tidegate.doctor.base import Area, Finding, Host
from tidegate.doctor.reading import in_thread
from tidegate.engines.base import Latest
from tidegate.errors import ErrorKind, Failure, TidegateError
from tidegate.net.client import NetClient
from tidegate.net.urls import without_last_segment
from tidegate.printable import without_password

AREA = Area("discovery")
ASK_SECS = 15
"""Deadline for the source, as a person waits for the result. The agent itself allows ``discovery.timeout_secs``."""

_UNKNOWN_PAYLOAD = "?"
_NOT_FOUND = "404 Not Found"


async def examine(host: Host) -> Sequence[Finding]:
    """Query the source once, through a net-worker, as the agent does."""
    version, payload, stream = running(host)
    settings = host.settings
    within = min(settings.discovery.timeout_secs, ASK_SECS)
    settings = replace(settings, discovery=replace(settings.discovery, timeout_secs=within))
    source = discovery_for(settings, host.identity, NetClient(), SystemClock(), _not_asked)
    if isinstance(source, Native):
        return [AREA.ok("source", "new releases come from the engine's own remote: see area engine")]
    with TemporaryDirectory(prefix="tidegate-doctor-") as scratch:
        on_copy = await in_thread(_on_a_copy, source, Path(scratch) / "trust")
        answer = await _ask(on_copy, payload or _UNKNOWN_PAYLOAD, version, stream)
    hint = await _hint(source, answer, payload or _UNKNOWN_PAYLOAD, version, stream)
    return [*judge(answer, version if payload else "", host.snapshot.get("denied")), *hint]


async def _hint(
    source: Discovery, answer: Offers | Failure, payload: str, version: str, stream: str | None
) -> Sequence[Finding]:
    """A finding where nothing is at the address of a Cincinnati server, but one is where Zincati would look for it."""
    if not isinstance(source, Cincinnati) or not isinstance(answer, Failure) or _NOT_FOUND not in answer.message:
        return ()
    shorter = without_last_segment(source.base_url)
    if shorter is None or isinstance(await _ask(replace(source, base_url=shorter), payload, version, stream), Failure):
        return ()
    text = "Zincati drops the last segment of an address without a final slash, and there the source answers"
    return (AREA.problem("address", text, f'set cincinnati.base_url = "{without_password(shorter)}"'),)


async def _not_asked() -> Latest:
    raise TidegateError(ErrorKind.DISCOVERY_UNAVAILABLE, "the engine is not queried by doctor", "tidegate check")


def _on_a_copy(source: Discovery, folder: Path) -> Discovery:
    """Use a copy of the trusted metadata of a signed graph, which a query updates: the original is the agent's."""
    if not isinstance(source, StaticGraph) or source.trust is None:
        return source
    with suppress(OSError):  # missing or unreadable: verification starts at the root then
        shutil.copytree(source.trust_folder, folder)
    folder.mkdir(exist_ok=True)
    return replace(source, trust_folder=str(folder))


async def _ask(source: Discovery, payload: str, version: str, stream: str | None) -> Offers | Failure:
    try:
        async with asyncio.timeout(ASK_SECS):
            return await source.find(payload, version, stream)
    except TidegateError as err:
        return err.failure
    except TimeoutError:
        return Failure(ErrorKind.DISCOVERY_UNREACHABLE, f"no answer within {ASK_SECS} s", "see tidegate check")


def running(host: Host) -> tuple[str, str, str | None]:
    """Version and payload of the running release, and its stream, from the agent's snapshot; empty if unknown."""
    booted, identity = (_table(host.snapshot.get(key)) for key in ("booted", "host"))
    stream = identity.get("stream")
    return str(booted.get("version") or ""), str(booted.get("payload") or ""), str(stream) if stream else None


def _table(value: object) -> dict[str, object]:
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def judge(answer: Offers | Failure, version: str, denied: object = None) -> Iterator[Finding]:
    """Evaluate the answer; ``version`` is that of the running release, empty if unknown."""
    if isinstance(answer, Failure):
        remedy = answer.remedy or "tidegate config show --origin"
        if answer.kind is ErrorKind.DISCOVERY_UNAVAILABLE:
            yield AREA.problem("source", f"no source of updates can be queried: {answer.message}", remedy)
        else:
            yield AREA.problem("source", f"the source of updates does not answer: {answer.message}", remedy)
        return
    count = len(answer.candidates) + len(answer.deferred)
    yield AREA.ok(
        "source",
        "the source of updates answers",
        f"newer releases: {count}, releases denied on this host: {_count(denied)}",
    )
    yield _booted(answer, version)


def _count(rows: object) -> int:
    return len(cast("list[object]", rows)) if isinstance(rows, list) else 0


def _booted(offers: Offers, version: str) -> Finding:
    if not version:
        text = "unknown whether the source lists the running release: the agent has not reported which it is"
        return AREA.unknown("running-release", text, "systemctl start tidegate.service")
    if not offers.booted_known:
        text = f"the source does not list the running release {version}, so it offers no update from it"
        return AREA.problem("running-release", text, "check that the source is the one for this host's stream")
    if offers.dead_end:
        text = f"the running release {version} is a dead end: {offers.dead_end}"
        return AREA.warning("running-release", text, "ask the publisher of the releases how to proceed")
    return AREA.ok("running-release", f"the source lists the running release {version}")
