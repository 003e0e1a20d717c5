"""Documents between helper and agent, in both directions; the validation of arguments in the helper."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import fields, replace
from datetime import UTC
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.bus.message import Typed
from tidegate.engines import wire
from tidegate.engines.base import (
    Deployment,
    EngineStatus,
    EngineTraits,
    Evidence,
    FinalizeFailure,
    Latest,
    Progress,
    RebootOwner,
    StagedDeployment,
)
from tidegate.errors import ErrorKind, TidegateError
from tidegate.helper.arguments import (
    MAX_PAYLOAD_CHARS,
    MAX_VERSION_CHARS,
    checked_payload,
    checked_release,
    checked_version,
)
from tidegate.release import Release
from tidegate.system.reboot import RebootKind

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
versions = texts.filter(str.isprintable)
deployments = st.builds(Deployment, versions, texts)
traits = st.builds(
    EngineTraits,
    stages_locked=st.booleans(),
    can_disarm=st.booleans(),
    can_rollback=st.booleans(),
    can_discard=st.booleans(),
    reboots=st.sampled_from(RebootOwner),
    evidence=st.sampled_from(Evidence),
    reboot_kinds=st.frozensets(st.sampled_from(RebootKind)),
    arm_timeout_secs=st.floats(0.001, wire.MAX_ARM_TIMEOUT_SECS),
    updates_offline=st.booleans(),
)
failures = st.builds(FinalizeFailure, texts, st.none() | texts, st.none() | st.datetimes(timezones=st.just(UTC)))
statuses = st.builds(
    EngineStatus,
    engine=texts,
    booted=deployments,
    staged=st.none() | st.builds(StagedDeployment, versions, texts, st.booleans()),
    entries=st.lists(deployments).map(tuple),
    finalize_failure=st.none() | failures,
    stream=st.none() | texts,
    rollback=st.none() | deployments,
    traits=traits,
    fell_back=st.none() | texts,
    booted_by_current_menu=st.none() | st.booleans(),
)
metadata = st.dictionaries(texts.filter(bool).map(lambda text: text[:20]), texts, max_size=5)
releases = st.builds(Release, versions, texts, st.none() | st.integers(-(2**63), 2**63 - 1), metadata)
latests = st.builds(Latest, booted=releases, newest=releases, end_of_life=st.none() | texts)

MINIMAL = EngineStatus("ostree", Deployment("1", "a"), None, (), None)


EVIL = "7\x1b]0;PWN\x07\x1b[31mEVIL\nForged"


def test_a_version_of_escape_sequences_arrives_as_escapes() -> None:
    evil = Deployment(EVIL, "a")
    status = replace(MINIMAL, booted=evil, staged=StagedDeployment(EVIL, "b", True), entries=(evil,), rollback=evil)
    latest = Latest(Release(EVIL, "a"), Release(EVIL, "b"), None)
    for seen in (
        wire.status_from_document(received(wire.status_to_document(status))),
        wire.status_from_wire(cast("tuple[object, ...]", received(wire.status_to_wire(status)))),
    ):
        assert seen.staged is not None
        assert seen.rollback is not None
        versions = {seen.booted.version, seen.staged.version, seen.rollback.version, seen.entries[0].version}
        assert versions == {"7\\x1b]0;PWN\\x07\\x1b[31mEVIL\\nForged"}
    for found in (
        wire.latest_from_document(received(wire.latest_to_document(latest))),
        wire.latest_from_wire(cast("tuple[object, ...]", received(wire.latest_to_wire(latest)))),
    ):
        assert found.booted.version.isprintable()
        assert found.newest.version.isprintable()


def received(value: object) -> object:
    """A value as it arrives: without signatures, arrays as tuples."""
    match value:
        case Typed():
            return received(value.value)
        case list():
            return tuple(map(received, cast("list[object]", value)))
        case dict():
            return {key: received(member) for key, member in cast("dict[str, object]", value).items()}
        case _:
            return value


def document_of(status: EngineStatus) -> dict[str, Any]:
    return cast("dict[str, Any]", received(wire.status_to_document(status)))


@given(statuses)
def test_a_status_comes_back_as_it_was(status: EngineStatus) -> None:
    assert wire.status_from_document(document_of(status)) == status


@given(statuses)
def test_the_first_versions_status_has_no_traits_but_who_reboots(status: EngineStatus) -> None:
    back = wire.status_from_wire(wire.status_to_wire(status))
    failure = status.finalize_failure and FinalizeFailure(status.finalize_failure.message)
    traits = EngineTraits(reboots=status.traits.reboots)
    plain = replace(status, fell_back=None, booted_by_current_menu=None)
    assert back == replace(plain, finalize_failure=failure, traits=traits)


@given(latests)
def test_the_latest_comes_back_as_it_was(latest: Latest) -> None:
    back = wire.latest_from_document(received(wire.latest_to_document(latest)))
    assert back == latest
    assert (back.booted.metadata, back.newest.metadata) == (latest.booted.metadata, latest.newest.metadata)


@given(latests)
def test_the_first_versions_latest_has_no_metadata(latest: Latest) -> None:
    back = wire.latest_from_wire(wire.latest_to_wire(latest))
    assert back == latest
    assert not back.newest.metadata


@given(statuses)
def test_what_a_newer_version_adds_is_ignored(status: EngineStatus) -> None:
    document = document_of(status)
    document["moon_phase"] = 0.5
    for part in ("booted", "staged", "rollback", "finalize_failure", "traits"):
        if part in document:
            document[part] |= {"moon_phase": "full"}
    document["entries"] = tuple(entry | {"moon_phase": ()} for entry in document["entries"])
    document["traits"]["reboot_kinds"] += ("kexec",)
    assert wire.status_from_document(document) == status


def test_what_an_older_version_leaves_out_has_a_default() -> None:
    booted = {"version": "1", "payload": "a"}
    assert wire.status_from_document({"engine": "ostree", "booted": booted}) == MINIMAL
    assert wire.status_from_document({"engine": "ostree", "booted": booted, "traits": {}}) == MINIMAL


@pytest.mark.parametrize("trait", [field.name for field in fields(EngineTraits)])
def test_each_trait_that_is_left_out_has_its_default(trait: str) -> None:
    other = EngineTraits(
        stages_locked=False,
        can_disarm=False,
        can_rollback=False,
        can_discard=False,
        reboots=RebootOwner.ENGINE,
        evidence=Evidence.ENGINE_REPORT,
        reboot_kinds=frozenset({RebootKind.SOFT}),
        arm_timeout_secs=7.0,
        updates_offline=True,
    )
    document = document_of(replace(MINIMAL, traits=other))
    del document["traits"][trait]
    default: Any = {trait: getattr(EngineTraits(), trait)}
    assert wire.status_from_document(document).traits == replace(other, **default)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("engine", 7, "engine"),
        ("booted", {"version": "1"}, "payload"),
        ("entries", ({"payload": "a"},), "version"),
        ("staged", {"version": "1", "payload": "a", "locked": "yes"}, "locked"),
        ("finalize_failure", {"at_usec": 1}, "message"),
        ("finalize_failure", {"message": "no", "at_usec": 2**63 - 1}, "no such time"),
        ("traits", {"reboots": "somebody"}, "somebody"),
        ("traits", {"evidence": "hearsay"}, "hearsay"),
        ("traits", {"can_disarm": 1}, "can_disarm"),
        ("traits", {"arm_timeout_secs": 0.0}, "arm_timeout_secs"),
        ("traits", {"arm_timeout_secs": float("inf")}, "arm_timeout_secs"),
    ],
)
def test_what_cannot_be_read_is_an_error(key: str, value: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        wire.status_from_document(document_of(MINIMAL) | {key: value})


def test_nobody_waits_for_an_arming_for_ever() -> None:
    document = document_of(MINIMAL) | {"traits": {"arm_timeout_secs": 1e9}}
    assert wire.status_from_document(document).traits.arm_timeout_secs == wire.MAX_ARM_TIMEOUT_SECS


def test_metadata_beyond_the_bounds_is_left_out_by_the_agent() -> None:
    many = {str(number): "x" for number in range(wire.MAX_METADATA_ENTRIES + 9)}
    bad = {"": "x", "k" * wire.MAX_METADATA_BYTES: "x", "long": "\xe4" * (wire.MAX_METADATA_BYTES // 2)}
    back = wire.release_from_document(received(wire.release_to_document(Release("1", "a", None, bad | many))))
    assert len(back.metadata) == wire.MAX_METADATA_ENTRIES
    assert set(back.metadata) <= set(many)


@given(st.builds(Progress, texts, st.none() | st.floats(0.0, 1.0), st.integers(0, 2**64 - 1)))
def test_progress_comes_back_as_it_was(progress: Progress) -> None:
    assert wire.progress_from_wire(wire.progress_to_wire("payload", progress)) == ("payload", progress)


@pytest.mark.parametrize("fraction", [-1.0, 1.5, float("nan"), float("inf")])
def test_a_fraction_that_is_none_is_unknown(fraction: float) -> None:
    assert wire.progress_from_wire(("p", "fetch", fraction, 1))[1].fraction is None


def test_an_owner_of_another_version_is_an_error() -> None:
    engine, _owner, *rest = wire.status_to_wire(MINIMAL)
    with pytest.raises(ValueError, match="somebody"):
        wire.status_from_wire((engine, "somebody", *rest))


@given(st.text())
def test_any_text_can_be_carried(text: str) -> None:
    carried = wire.plain(text)
    carried.encode()
    assert "\0" not in carried


@pytest.mark.parametrize("version", ["1", "40.20240101.3.0", "Änderung 2", "x" * MAX_VERSION_CHARS])
def test_versions_are_for_people(version: str) -> None:
    assert checked_version(version) == version


@pytest.mark.parametrize("version", ["", "x" * (MAX_VERSION_CHARS + 1), "a\nb", "\x1b[31m", "a\u202eb", "\udcff"])
def test_what_is_not_printable_is_no_version(version: str) -> None:
    with pytest.raises(TidegateError) as caught:
        checked_version(version)
    assert caught.value.kind is ErrorKind.ENGINE_BAD_ARGUMENT


@pytest.mark.parametrize(
    ("engine", "payload"),
    [
        ("ostree", "0123456789abcdef" * 4),
        ("bootc", "quay.io/example/os:42@sha256:" + "a" * 64),
        ("rauc", "a" * MAX_PAYLOAD_CHARS),
    ],
)
def test_payloads_of_an_engine(engine: str, payload: str) -> None:
    assert checked_payload(engine, payload) == payload


@pytest.mark.parametrize(
    ("engine", "payload"),
    [
        ("ostree", ""),
        ("ostree", "a" * 63),
        ("ostree", "A" * 64),
        ("ostree", "a" * 64 + "\n"),
        ("ostree", "../" + "a" * 61),
        ("bootc", "--help"),
        ("bootc", "a b"),
        ("bootc", "a;b"),
        ("bootc", "ä"),
        ("bootc", "a" * (MAX_PAYLOAD_CHARS + 1)),
    ],
)
def test_anything_else_gets_no_further(engine: str, payload: str) -> None:
    with pytest.raises(TidegateError) as caught:
        checked_payload(engine, payload)
    assert caught.value.kind is ErrorKind.ENGINE_BAD_ARGUMENT


scalars = st.none() | st.booleans() | st.integers(-(2**64), 2**64) | st.floats() | st.text(max_size=5)
anything = scalars | st.lists(scalars, max_size=2).map(tuple) | st.dictionaries(st.integers(), scalars, max_size=2)
of_a_release = st.sampled_from(["version", "payload", "age_index", "metadata", "locked", "message", "at_usec"])
of_a_status = st.sampled_from(["engine", "traits", "booted", "newest", "staged", "entries", "finalize_failure"])
parts = anything | st.dictionaries(of_a_release, anything, max_size=4)
documents = parts | st.dictionaries(of_a_status, parts | st.tuples(parts), max_size=4)


@given(documents)
def test_any_document_is_read_or_rejected(document: object) -> None:
    for read in (wire.status_from_document, wire.latest_from_document, wire.release_from_document):
        with suppress(ValueError):
            read(document)
    with suppress(TidegateError):
        checked_release("ostree", document)


GOOD: dict[str, object] = {"version": "2", "payload": "a" * 64, "age_index": 3, "metadata": {"size": "12"}}


def test_a_release_is_taken_with_its_metadata() -> None:
    release = checked_release("ostree", GOOD | {"moon_phase": 0.5})
    assert release == Release("2", "a" * 64, 3)
    assert release.metadata == {"size": "12"}
    assert checked_release("ostree", {"version": "2", "payload": "a" * 64}) == Release("2", "a" * 64)


@pytest.mark.parametrize(
    "bad",
    [
        {"version": "a\nb"},
        {"version": 2},
        {"payload": "--force"},
        {"payload": None},
        {"age_index": "3"},
        {"metadata": {"size": 12}},
        {"metadata": {"": "12"}},
        {"metadata": {"k" * (wire.MAX_METADATA_BYTES + 1): ""}},
        {"metadata": {"size": "\xe4" * (wire.MAX_METADATA_BYTES // 2)}},
        {"metadata": {str(number): "" for number in range(wire.MAX_METADATA_ENTRIES + 1)}},
        {"metadata": ("size", "12")},
        {"metadata": {7: "12"}},
    ],
)
def test_a_release_that_does_not_fit_gets_no_further(bad: dict[str, object]) -> None:
    with pytest.raises(TidegateError) as caught:
        checked_release("ostree", GOOD | bad)
    assert caught.value.kind is ErrorKind.ENGINE_BAD_ARGUMENT
