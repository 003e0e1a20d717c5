"""The roles in a listing, the branch that a host follows, and which staging may be replaced."""

from __future__ import annotations

import dataclasses

import pytest

from tidegate.engines.base import StagedDeployment
from tidegate.engines.ostree.source import Source, checked_payload, source_of
from tidegate.engines.ostree.status import Listed
from tidegate.engines.ostree.survey import Survey, foreign_staging, not_staged, survey_of
from tidegate.errors import ErrorKind, TidegateError


def listed(version: str, index: int = 0, **changes: object) -> Listed:
    """An entry whose checksum is its version's first digit, 64 times."""
    entry = Listed(
        index=index, stateroot="demo", checksum=version[0] * 64, serial=0, version=version,
        refspec="demo:demo/x86_64/stable", booted=False, staged=False, locked=False, pinned=False,
    )  # fmt: skip
    return dataclasses.replace(entry, **changes)  # type: ignore[arg-type]  # names are checked by dataclasses


def survey(*entries: Listed, staged: StagedDeployment | None = None) -> Survey:
    """A survey whose booted entry is marked in the listing."""
    (booted,) = (entry for entry in entries if entry.booted)
    return survey_of(entries, booted, staged)


def staging(version: str, *, locked: bool) -> StagedDeployment:
    """Something staged."""
    return StagedDeployment(version, version[0] * 64, locked)


def test_a_staged_deployment_is_no_entry() -> None:
    seen = survey(listed("2.0", staged=True), listed("1.0", 1, booted=True), staged=staging("2.0", locked=True))
    assert [entry.version for entry in seen.entries] == ["1.0"]


@pytest.mark.parametrize(("locked", "next_boot"), [(True, "1" * 64), (False, "2" * 64)])
def test_only_an_unlocked_staging_is_the_next_boot(next_boot: str, *, locked: bool) -> None:
    assert survey(listed("1.0", booted=True), staged=staging("2.0", locked=locked)).next_boot == next_boot


def test_unused_entries_spare_booted_pinned_and_other_systems() -> None:
    seen = survey(
        listed("5.0"), listed("4.0", 1, booted=True), listed("3.0", 2, pinned=True),
        listed("2.0", 3, stateroot="other"), listed("1.0", 4),
    )  # fmt: skip
    assert [entry.version for entry in seen.unused] == ["5.0", "1.0"]


def test_another_deployment_of_the_booted_release_is_unused() -> None:
    assert [entry.serial for entry in survey(listed("1.0", booted=True), listed("1.0", 1, serial=1)).unused] == [1]


def test_the_earlier_release_comes_after_the_booted_one_and_differs() -> None:
    seen = survey(
        listed("9.0"), listed("3.0", 1, booted=True), listed("3.0", 2, serial=1), listed("2.0", 3, stateroot="other"),
        listed("1.0", 4),
    )  # fmt: skip
    assert seen.earlier is not None
    assert seen.earlier.version == "1.0"


def test_a_single_release_has_no_earlier_one() -> None:
    assert survey(listed("1.0", booted=True)).earlier is None


def test_a_locked_staging_gives_way_and_an_unlocked_one_does_not() -> None:
    assert foreign_staging(staging("2.0", locked=True), "3.0") is None
    refusal = foreign_staging(staging("2.0", locked=False), "3.0")
    assert refusal is not None
    assert refusal.kind is ErrorKind.ENGINE_FOREIGN_STAGING
    assert "2.0" in refusal.message
    assert "3.0" in refusal.message
    assert "ostree admin undeploy 0" in refusal.remedy


def test_the_refusal_to_arm_says_what_is_staged_instead() -> None:
    assert "nothing is staged" in not_staged("x", survey(listed("1.0", booted=True))).message
    other = survey(listed("1.0", booted=True), staged=staging("2.0", locked=True))
    assert "2.0" in not_staged("x", other).message


def test_the_branch_that_a_host_follows() -> None:
    source = source_of(listed("1.0"))
    assert source == Source("demo", "demo/x86_64/stable")
    assert source.origin_text == "[origin]\nrefspec=demo:demo/x86_64/stable\n"


@pytest.mark.parametrize("refspec", [None, "", "local/branch", "1" * 64, "demo:", ":x", "--evil:x", "demo:-x", "a:b c"])
def test_an_origin_that_names_no_branch_of_a_remote(refspec: str | None) -> None:
    with pytest.raises(TidegateError, match="names no branch") as caught:
        source_of(listed("1.0", refspec=refspec))
    assert caught.value.kind is ErrorKind.ENGINE_UNSUPPORTED_HOST


@pytest.mark.parametrize("payload", ["", "1" * 63, "1" * 65, "A" * 64, "1" * 64 + "\n", "--option", "g" * 64])
def test_a_payload_that_is_no_checksum(payload: str) -> None:
    with pytest.raises(TidegateError, match="not an ostree checksum") as caught:
        checked_payload(payload)
    assert caught.value.kind is ErrorKind.ENGINE_BAD_ARGUMENT
