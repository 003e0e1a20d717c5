"""``org.tidegate.Engine1``: what the root helper and the agent say to each other, as D-Bus types and back. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias, cast

from tidegate.bus.message import Endpoint
from tidegate.engines.base import Deployment, EngineStatus, Latest, Progress, RebootOwner, StagedDeployment
from tidegate.release import Release

ENGINE = Endpoint("org.tidegate.Engine1", "/org/tidegate/Engine1", "org.tidegate.Engine1")

DEPLOYMENT: Mapping[str, str] = MappingProxyType({"version": "s", "payload": "s"})

STATUS: Mapping[str, str] = MappingProxyType(
    {
        "engine": "s",
        "reboot_owner": "s",
        "booted": "(ss)",
        "staged": "a(ssb)",
        "entries": "a(ss)",
        "finalize_failure": "as",
        "stream": "as",
        "rollback": "a(ss)",
    }
)
"""D-Bus has no "none": ``staged``, ``finalize_failure``, ``stream`` and ``rollback`` have one element or none."""

LATEST: Mapping[str, str] = MappingProxyType({"booted": "(ssax)", "newest": "(ssax)", "end_of_life": "as"})
"""Of a release its version, its payload and its age index; that and ``end_of_life`` have one element or none."""

PROGRESS: Mapping[str, str] = MappingProxyType({"payload": "s", "step": "s", "fraction": "d", "transferred_bytes": "t"})
"""``fraction`` is :data:`UNKNOWN` while the whole is not known."""

UNKNOWN = -1.0

_Pair: TypeAlias = tuple[str, str]
_Release: TypeAlias = tuple[str, str, Sequence[int]]
_Status: TypeAlias = tuple[
    str, str, _Pair, Sequence[tuple[str, str, bool]], Sequence[_Pair], Sequence[str], Sequence[str], Sequence[_Pair]
]


def signature_of(values: Mapping[str, str]) -> str:
    """The D-Bus signature of a message with these named values."""
    return "".join(values.values())


def status_to_wire(status: EngineStatus, reboot_owner: RebootOwner) -> tuple[object, ...]:
    """The values of :data:`STATUS`."""
    staged = status.staged
    return (
        plain(status.engine),
        reboot_owner.value,
        deployment_to_wire(status.booted),
        [] if staged is None else [(*deployment_to_wire(staged), staged.locked)],
        [deployment_to_wire(entry) for entry in status.entries],
        [] if status.finalize_failure is None else [plain(status.finalize_failure)],
        [] if status.stream is None else [plain(status.stream)],
        [] if status.rollback is None else [deployment_to_wire(status.rollback)],
    )


def status_from_wire(values: tuple[object, ...]) -> tuple[EngineStatus, RebootOwner]:
    """The inverse of :func:`status_to_wire`, for values that have the types of :data:`STATUS`.

    Raises:
        ValueError: an owner that this version does not know.
    """
    engine, owner, booted, staged, entries, finalize_failure, stream, rollback = cast("_Status", values)
    status = EngineStatus(
        engine=engine,
        booted=Deployment(*booted),
        staged=StagedDeployment(*staged[0]) if staged else None,
        entries=tuple(Deployment(*entry) for entry in entries),
        finalize_failure=finalize_failure[0] if finalize_failure else None,
        stream=stream[0] if stream else None,
        rollback=Deployment(*rollback[0]) if rollback else None,
    )
    return status, RebootOwner(owner)


def deployment_to_wire(deployment: Deployment) -> tuple[str, str]:
    """The values of :data:`DEPLOYMENT`."""
    return plain(deployment.version), plain(deployment.payload)


def deployment_from_wire(values: tuple[object, ...]) -> Deployment:
    """The inverse of :func:`deployment_to_wire`."""
    version, payload = cast("tuple[str, str]", values)
    return Deployment(version, payload)


def latest_to_wire(latest: Latest) -> tuple[object, ...]:
    """The values of :data:`LATEST`. What the releases say beside version, payload and age index stays here."""
    ending = [] if latest.end_of_life is None else [plain(latest.end_of_life)]
    return _release_to_wire(latest.booted), _release_to_wire(latest.newest), ending


def latest_from_wire(values: tuple[object, ...]) -> Latest:
    """The inverse of :func:`latest_to_wire`."""
    booted, newest, ending = cast("tuple[_Release, _Release, Sequence[str]]", values)
    return Latest(_release_from_wire(booted), _release_from_wire(newest), ending[0] if ending else None)


def progress_to_wire(payload: str, progress: Progress) -> tuple[object, ...]:
    """The values of :data:`PROGRESS`."""
    fraction = UNKNOWN if progress.fraction is None else progress.fraction
    return payload, plain(progress.step), fraction, progress.transferred_bytes


def progress_from_wire(values: tuple[object, ...]) -> tuple[str, Progress]:
    """The payload that is being staged, and how far it is."""
    payload, step, fraction, transferred_bytes = cast("tuple[str, str, float, int]", values)
    return payload, Progress(step, fraction if 0.0 <= fraction <= 1.0 else None, transferred_bytes)


def _release_to_wire(release: Release) -> _Release:
    return plain(release.version), plain(release.payload), [] if release.age_index is None else [release.age_index]


def _release_from_wire(values: _Release) -> Release:
    version, payload, age_index = values
    return Release(version, payload, age_index[0] if age_index else None)


def plain(text: str) -> str:
    """A text as D-Bus carries it: no NUL, and no lone surrogates, which is what other programs' bad UTF-8 comes as."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "")
