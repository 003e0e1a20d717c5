"""The D-Bus types of ``org.tidegate.Engine1``, and their conversion to and from the engine's own. Pure.

Agent and helper may be of two versions for a while, as during a package upgrade. So documents travel as ``a{sv}``: a
reader ignores keys that it does not know and takes defaults for those that are missing. The positional forms
(``Status``, ``Latest``, ``Stage``, ``Rollback``) are those of the first version, whose fields are fixed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import TypeAlias, TypeVar, cast

from tidegate.bus.message import Endpoint, Typed
from tidegate.engines.base import (
    DEFAULT_TRAITS,
    Deployment,
    EngineStatus,
    EngineTraits,
    FinalizeFailure,
    Latest,
    Progress,
    RebootOwner,
    StagedDeployment,
)
from tidegate.jsonread import Node
from tidegate.printable import visible
from tidegate.release import Release
from tidegate.system.reboot import RebootKind

ENGINE = Endpoint("org.tidegate.Engine1", "/org/tidegate/Engine1", "org.tidegate.Engine1")

DOCUMENT: Mapping[str, str] = MappingProxyType({"document": "a{sv}"})
"""The one value of ``Describe`` (a status), ``DescribeLatest`` and ``StageRelease`` (a release)."""

PAYLOAD: Mapping[str, str] = MappingProxyType({"payload": "s"})

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
"""First version. D-Bus has no null: ``staged``, ``finalize_failure``, ``stream`` and ``rollback`` have one element or
none."""

LATEST: Mapping[str, str] = MappingProxyType({"booted": "(ssax)", "newest": "(ssax)", "end_of_life": "as"})
"""First version. A release is its version, payload and age index; that and ``end_of_life`` have one element or none."""

PROGRESS: Mapping[str, str] = MappingProxyType({"payload": "s", "step": "s", "fraction": "d", "transferred_bytes": "t"})
"""``fraction`` is :data:`UNKNOWN` while the total is not known."""

UNKNOWN = -1.0

MAX_METADATA_ENTRIES = 256
MAX_METADATA_BYTES = 32 * 1024
"""Of all keys and values together, so that a call stays below the 64 KiB that a service reads
(:data:`tidegate.bus.framing.MAX_MESSAGE_BYTES`). Real releases have a dozen short texts."""

MAX_ARM_TIMEOUT_SECS = 3600.0
"""Above any engine's: a bound on what a helper can make the agent wait."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_Document: TypeAlias = dict[str, Typed]
_Pair: TypeAlias = tuple[str, str]
_Release: TypeAlias = tuple[str, str, Sequence[int]]
_Status: TypeAlias = tuple[
    str, str, _Pair, Sequence[tuple[str, str, bool]], Sequence[_Pair], Sequence[str], Sequence[str], Sequence[_Pair]
]
_Choice = TypeVar("_Choice", bound=StrEnum)


def signature_of(values: Mapping[str, str]) -> str:
    """Return the D-Bus signature of a message with these named values."""
    return "".join(values.values())


# --------------------------------------------------------------------------- documents


def status_to_document(status: EngineStatus) -> _Document:
    """Return ``status`` as ``Describe`` sends it; fields without a value are left out."""
    failure = status.finalize_failure
    document = {
        "engine": _text(status.engine),
        "traits": Typed("a{sv}", _traits_to_document(status.traits)),
        "booted": Typed("a{sv}", _deployment_to_document(status.booted)),
        "entries": Typed("aa{sv}", [_deployment_to_document(entry) for entry in status.entries]),
    }
    if status.staged is not None:
        locked = {"locked": Typed("b", status.staged.locked)}
        document["staged"] = Typed("a{sv}", _deployment_to_document(status.staged) | locked)
    if status.rollback is not None:
        document["rollback"] = Typed("a{sv}", _deployment_to_document(status.rollback))
    if status.stream is not None:
        document["stream"] = _text(status.stream)
    if status.fell_back is not None:
        document["fell_back"] = _text(status.fell_back)
    if status.booted_by_current_menu is not None:
        document["booted_by_current_menu"] = Typed("b", status.booted_by_current_menu)
    if failure is not None:
        document["finalize_failure"] = Typed("a{sv}", _failure_to_document(failure))
    return document


def status_from_document(document: object) -> EngineStatus:
    """Read the inverse of :func:`status_to_document`.

    Raises:
        ValueError: a value of another type, a name that this version does not know, or no ``engine`` or ``booted``.
    """
    fields = _node(document, "status")
    staged, rollback = fields.optional_child("staged"), fields.optional_child("rollback")
    failure, traits = fields.optional_child("finalize_failure"), fields.optional_child("traits")
    return EngineStatus(
        engine=fields.text("engine"),
        booted=_deployment(fields.child("booted")),
        staged=None if staged is None else StagedDeployment(*_shown(staged), locked=staged.flag("locked")),
        entries=tuple(map(_deployment, fields.children("entries"))),
        finalize_failure=None if failure is None else _failure(failure),
        stream=fields.optional_text("stream"),
        rollback=None if rollback is None else _deployment(rollback),
        traits=DEFAULT_TRAITS if traits is None else _traits(traits),
        fell_back=fields.optional_text("fell_back"),
        booted_by_current_menu=fields.flag("booted_by_current_menu")
        if "booted_by_current_menu" in fields.fields
        else None,
    )


def release_to_document(release: Release) -> _Document:
    """Return ``release`` as ``StageRelease`` sends it. Metadata beyond the bounds is left out, not an obstacle."""
    document = {"version": _text(release.version), "payload": _text(release.payload)}
    if release.age_index is not None:
        document["age_index"] = Typed("x", release.age_index)
    return document | {"metadata": Typed("a{ss}", _bounded(release.metadata))}


def release_from_document(document: object) -> Release:
    """Read the inverse of :func:`release_to_document`.

    Raises:
        ValueError: a value of another type, no version or payload, or metadata beyond the bounds.
    """
    return _release(_node(document, "release"))


def latest_to_document(latest: Latest) -> _Document:
    """Return ``latest`` as ``DescribeLatest`` sends it."""
    document = {
        "booted": Typed("a{sv}", release_to_document(latest.booted)),
        "newest": Typed("a{sv}", release_to_document(latest.newest)),
    }
    return document if latest.end_of_life is None else document | {"end_of_life": _text(latest.end_of_life)}


def latest_from_document(document: object) -> Latest:
    """Read the inverse of :func:`latest_to_document`.

    Raises:
        ValueError: as :func:`release_from_document`.
    """
    fields = _node(document, "latest")
    ending = fields.optional_text("end_of_life")
    booted, newest = _release(fields.child("booted")), _release(fields.child("newest"))
    return Latest(_with_shown_version(booted), _with_shown_version(newest), ending)


def _traits_to_document(traits: EngineTraits) -> _Document:
    return {
        "stages_locked": Typed("b", traits.stages_locked),
        "can_disarm": Typed("b", traits.can_disarm),
        "can_rollback": Typed("b", traits.can_rollback),
        "can_discard": Typed("b", traits.can_discard),
        "reboots": Typed("s", traits.reboots.value),
        "evidence": Typed("s", traits.evidence.value),
        "reboot_kinds": Typed("as", sorted(kind.value for kind in traits.reboot_kinds)),
        "arm_timeout_secs": Typed("d", traits.arm_timeout_secs),
        "updates_offline": Typed("b", traits.updates_offline),
    }


def _traits(fields: Node) -> EngineTraits:
    """Kinds of reboot that this version does not know are left out: it will not ask for them."""
    default, kinds = DEFAULT_TRAITS, frozenset(fields.texts("reboot_kinds"))
    return EngineTraits(
        stages_locked=_flag(fields, "stages_locked", default=default.stages_locked),
        can_disarm=_flag(fields, "can_disarm", default=default.can_disarm),
        can_rollback=_flag(fields, "can_rollback", default=default.can_rollback),
        can_discard=_flag(fields, "can_discard", default=default.can_discard),
        reboots=_choice(fields, "reboots", default.reboots),
        evidence=_choice(fields, "evidence", default.evidence),
        reboot_kinds=frozenset(kind for kind in RebootKind if kind.value in kinds)
        if "reboot_kinds" in fields.fields
        else default.reboot_kinds,
        arm_timeout_secs=_arm_timeout_secs(fields),
        updates_offline=_flag(fields, "updates_offline", default=default.updates_offline),
    )


def _arm_timeout_secs(fields: Node) -> float:
    if "arm_timeout_secs" not in fields.fields:
        return DEFAULT_TRAITS.arm_timeout_secs
    timeout_secs = fields.number("arm_timeout_secs")
    if timeout_secs <= 0:
        raise ValueError(f"{fields.where}.arm_timeout_secs: {timeout_secs:g} is not a time to wait")
    return min(timeout_secs, MAX_ARM_TIMEOUT_SECS)


def _failure_to_document(failure: FinalizeFailure) -> _Document:
    document = {"message": _text(failure.message)}
    if failure.payload is not None:
        document["payload"] = _text(failure.payload)
    if failure.at is not None:
        document["at_usec"] = Typed("x", (failure.at - _EPOCH) // _MICROSECOND)
    return document


def _failure(fields: Node) -> FinalizeFailure:
    at = None
    if "at_usec" in fields.fields:
        try:
            at = _EPOCH + fields.integer("at_usec") * _MICROSECOND
        except OverflowError as err:
            raise ValueError(f"{fields.where}.at_usec: no such time") from err
    return FinalizeFailure(fields.text("message"), fields.optional_text("payload"), at)


def _deployment_to_document(deployment: Deployment) -> _Document:
    return {"version": _text(deployment.version), "payload": _text(deployment.payload)}


def _deployment(fields: Node) -> Deployment:
    return Deployment(*_shown(fields))


def _pair(fields: Node) -> _Pair:
    return fields.text("version"), fields.text("payload")


def _shown(fields: Node) -> _Pair:
    """Version and payload; a commit's version is text of its publisher, and goes to journals and terminals."""
    version, payload = _pair(fields)
    return visible(version), payload


def _release(fields: Node) -> Release:
    age_index = fields.integer("age_index") if "age_index" in fields.fields else None
    metadata = fields.optional_child("metadata")
    return Release(*_pair(fields), age_index, MappingProxyType({} if metadata is None else _metadata(metadata)))


def _with_shown_version(release: Release) -> Release:
    return replace(release, version=visible(release.version))


def _metadata(fields: Node) -> dict[str, str]:
    metadata = {key: fields.text(key) for key in fields.fields}
    if _bounded(metadata) != metadata:
        bounds = f"{MAX_METADATA_ENTRIES} texts and {MAX_METADATA_BYTES} bytes"
        raise ValueError(f"{fields.where}: more than {bounds}, or a text without a name")
    return metadata


def _bounded(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return as much of ``metadata`` as fits into a message."""
    bounded: dict[str, str] = {}
    left_bytes = MAX_METADATA_BYTES
    for key, value in metadata.items():
        name, text = plain(key), plain(value)
        size_bytes = len(name.encode()) + len(text.encode())
        if name and size_bytes <= left_bytes and len(bounded) < MAX_METADATA_ENTRIES:
            bounded[name] = text
            left_bytes -= size_bytes
    return bounded


def _flag(fields: Node, key: str, *, default: bool) -> bool:
    return fields.flag(key) if key in fields.fields else default


def _choice(fields: Node, key: str, default: _Choice) -> _Choice:
    return type(default)(fields.text(key)) if key in fields.fields else default


def _text(text: str) -> Typed:
    return Typed("s", plain(text))


def _node(document: object, where: str) -> Node:
    """Take a document as received: without signatures, and with arrays as tuples, which the reader expects as lists."""
    return Node.root(_as_json(document), where)


def _as_json(value: object) -> object:
    match value:
        case tuple():
            return [_as_json(item) for item in cast("tuple[object, ...]", value)]
        case dict():
            members = cast("dict[object, object]", value)
            as_text = {key: _as_json(member) for key, member in members.items() if isinstance(key, str)}
            return as_text if len(as_text) == len(members) else [*members]  # such as a{us}: not a document
        case _:
            return value


# --------------------------------------------------------------------------- the first version's positional forms


def status_to_wire(status: EngineStatus) -> tuple[object, ...]:
    """Return the values of :data:`STATUS`."""
    staged = status.staged
    return (
        plain(status.engine),
        status.traits.reboots.value,
        deployment_to_wire(status.booted),
        [] if staged is None else [(*deployment_to_wire(staged), staged.locked)],
        [deployment_to_wire(entry) for entry in status.entries],
        [] if status.finalize_failure is None else [plain(status.finalize_failure.message)],
        [] if status.stream is None else [plain(status.stream)],
        [] if status.rollback is None else [deployment_to_wire(status.rollback)],
    )


def status_from_wire(values: tuple[object, ...]) -> EngineStatus:
    """Read values that have the types of :data:`STATUS`. Traits but ``reboots`` are the defaults.

    Raises:
        ValueError: an owner that this version does not know.
    """
    engine, owner, booted, staged, entries, finalize_failure, stream, rollback = cast("_Status", values)
    return EngineStatus(
        engine=engine,
        booted=deployment_from_wire(booted),
        staged=StagedDeployment(visible(staged[0][0]), *staged[0][1:]) if staged else None,
        entries=tuple(map(deployment_from_wire, entries)),
        finalize_failure=FinalizeFailure(finalize_failure[0]) if finalize_failure else None,
        stream=stream[0] if stream else None,
        rollback=deployment_from_wire(rollback[0]) if rollback else None,
        traits=EngineTraits(reboots=RebootOwner(owner)),
    )


def deployment_to_wire(deployment: Deployment) -> tuple[str, str]:
    """Return the values of :data:`DEPLOYMENT`."""
    return plain(deployment.version), plain(deployment.payload)


def deployment_from_wire(values: tuple[object, ...]) -> Deployment:
    """Read the inverse of :func:`deployment_to_wire`."""
    version, payload = cast("tuple[str, str]", values)
    return Deployment(visible(version), payload)


def latest_to_wire(latest: Latest) -> tuple[object, ...]:
    """Return the values of :data:`LATEST`; metadata is left out."""
    ending = [] if latest.end_of_life is None else [plain(latest.end_of_life)]
    return _release_to_wire(latest.booted), _release_to_wire(latest.newest), ending


def latest_from_wire(values: tuple[object, ...]) -> Latest:
    """Read the inverse of :func:`latest_to_wire`."""
    booted, newest, ending = cast("tuple[_Release, _Release, Sequence[str]]", values)
    return Latest(_release_from_wire(booted), _release_from_wire(newest), ending[0] if ending else None)


def _release_to_wire(release: Release) -> _Release:
    return plain(release.version), plain(release.payload), [] if release.age_index is None else [release.age_index]


def _release_from_wire(values: _Release) -> Release:
    version, payload, age_index = values
    return Release(visible(version), payload, age_index[0] if age_index else None)


# --------------------------------------------------------------------------- progress and texts


def progress_to_wire(payload: str, progress: Progress) -> tuple[object, ...]:
    """Return the values of :data:`PROGRESS`."""
    fraction = UNKNOWN if progress.fraction is None else progress.fraction
    return payload, plain(progress.step), fraction, progress.transferred_bytes


def progress_from_wire(values: tuple[object, ...]) -> tuple[str, Progress]:
    """Read the payload that is being staged, and the progress of that."""
    payload, step, fraction, transferred_bytes = cast("tuple[str, str, float, int]", values)
    return payload, Progress(step, fraction if 0.0 <= fraction <= 1.0 else None, transferred_bytes)


def plain(text: str) -> str:
    """Return ``text`` without NUL and lone surrogates (other programs' bad UTF-8), which D-Bus does not carry."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "")
