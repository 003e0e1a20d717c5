"""What helper and agent say to each other, there and back; what the helper lets through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.engines import wire
from tidegate.engines.base import Deployment, EngineStatus, Latest, Progress, RebootOwner, StagedDeployment
from tidegate.errors import ErrorKind, TidegateError
from tidegate.helper.arguments import MAX_PAYLOAD_CHARS, MAX_VERSION_CHARS, checked_payload, checked_version
from tidegate.release import Release

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
deployments = st.builds(Deployment, texts, texts)
statuses = st.builds(
    EngineStatus,
    engine=texts,
    booted=deployments,
    staged=st.none() | st.builds(StagedDeployment, texts, texts, st.booleans()),
    entries=st.lists(deployments).map(tuple),
    finalize_failure=st.none() | texts,
)


@given(statuses, st.sampled_from(RebootOwner))
def test_a_status_comes_back_as_it_was(status: EngineStatus, owner: RebootOwner) -> None:
    assert wire.status_from_wire(wire.status_to_wire(status, owner)) == (status, owner)


@given(
    st.builds(
        Latest,
        booted=st.builds(Release, texts, texts, st.none() | st.integers(0, 2**63 - 1)),
        newest=st.builds(Release, texts, texts, st.none() | st.integers(0, 2**63 - 1)),
        end_of_life=st.none() | texts,
    )
)
def test_the_latest_comes_back_as_it_was(latest: Latest) -> None:
    assert wire.latest_from_wire(wire.latest_to_wire(latest)) == latest


@given(st.builds(Progress, texts, st.none() | st.floats(0.0, 1.0), st.integers(0, 2**64 - 1)))
def test_progress_comes_back_as_it_was(progress: Progress) -> None:
    assert wire.progress_from_wire(wire.progress_to_wire("payload", progress)) == ("payload", progress)


@pytest.mark.parametrize("fraction", [-1.0, 1.5, float("nan"), float("inf")])
def test_a_fraction_that_is_none_is_unknown(fraction: float) -> None:
    assert wire.progress_from_wire(("p", "fetch", fraction, 1))[1].fraction is None


def test_an_owner_of_another_version_is_an_error() -> None:
    status = EngineStatus("ostree", Deployment("1", "a"), None, (), None)
    engine, _owner, *rest = wire.status_to_wire(status, RebootOwner.AGENT)
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
