"""Listings as real versions print them, and listings in unknown forms."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.engines.ostree.status import parse_date, parse_json, parse_text
from tidegate.errors import ErrorKind, TidegateError

V1 = "5285f94891f4dd7923aa63e7e651d509a87d0b15be98b97fb8f9cf77e8c8bc86"
V2 = "09e16b834671e7129fe20863dd70473bf7235a5262f30920e83eaefd9c9dcbea"

# 2022.7 (Debian 12), booted, something staged (the lock file shows nowhere), the old entry pinned.
STAGED_2022_7 = f"""\
  demo {V2}.0 (staged)
    Version: 2.0
    origin refspec: demo:demo/x86_64/stable
* demo {V1}.0
    Version: 1.0
    Unlocked: hotfix
    origin refspec: demo:demo/x86_64/stable
  demo {V1}.1 (rollback)
    Version: 1.0
    Pinned: yes
    origin refspec: {V1}
"""
# 2025.2 (Debian 13), staged with the lock in the staging itself.
LOCKED_2025_2 = f"""\
  demo {V2}.0 (finalization locked)
    Version: 2.0
    origin refspec: demo:demo/x86_64/stable
* demo {V1}.0
    Version: 1.0
    origin refspec: demo:demo/x86_64/stable
"""
# Not booted: no star, no marks, whatever the order means.
SCRATCH = f"""\
  demo {V1}.0
    Version: 1.0
    origin refspec: demo:demo/x86_64/stable
"""
# 2026.4, the same as LOCKED_2025_2 with a soft-reboot target beside.
JSON_2026_4 = json.dumps(
    {
        "deployments": [
            {"checksum": V2, "stateroot": "demo", "refspec": "demo:demo/x", "serial": 0, "index": 0, "booted": False,
             "pending": True, "rollback": False, "finalization-locked": True, "soft-reboot-target": False,
             "staged": True, "pinned": False, "unlocked": "none", "version": "2.0"},
            {"checksum": V1, "stateroot": "demo", "refspec": "demo:demo/x", "serial": 3, "index": 1, "booted": True,
             "pending": False, "rollback": False, "finalization-locked": False, "soft-reboot-target": False,
             "staged": False, "pinned": True, "unlocked": "none"},
        ]
    }
)  # fmt: skip


def test_a_staging_of_2022_7() -> None:
    staged, booted, rollback = parse_text(STAGED_2022_7)
    assert (staged.checksum, staged.version, staged.staged, staged.locked, staged.booted) == (
        V2,
        "2.0",
        True,
        False,
        False,
    )
    assert (booted.checksum, booted.booted, booted.staged, booted.index) == (V1, True, False, 1)
    assert (rollback.serial, rollback.pinned, rollback.refspec, rollback.index) == (1, True, V1, 2)
    assert rollback.deployment_name == f"{V1}.1"


def test_the_locked_mark_of_2025_2_stands_in_place_of_staged() -> None:
    staged, booted = parse_text(LOCKED_2025_2)
    assert staged.staged
    assert staged.locked
    assert not booted.locked


def test_a_sysroot_that_is_not_booted() -> None:
    (only,) = parse_text(SCRATCH)
    assert not only.booted
    assert only.refspec == "demo:demo/x86_64/stable"


def test_a_soft_reboot_mark_beside_another() -> None:
    (only,) = parse_text(f"  demo {V1}.0 (pending) (soft-reboot)\n    Version: 1.0\n")
    assert not only.staged


def test_a_commit_without_version_and_origin() -> None:
    (only,) = parse_text(f"* demo {V1}.0\n    origin: <unknown origin type>\n")
    assert only.version == V1[:12]
    assert only.refspec is None


def test_no_deployments() -> None:
    assert parse_text("No deployments.\n") == ()


def test_a_listing_in_json() -> None:
    staged, booted = parse_json(JSON_2026_4)
    assert (staged.version, staged.staged, staged.locked, staged.index) == ("2.0", True, True, 0)
    assert (booted.version, booted.booted, booted.pinned, booted.serial) == (V1[:12], True, True, 3)


@pytest.mark.parametrize("text", ["", "usage: ostree", "* demo abc.0\n", "\x00"])
def test_text_in_no_known_shape(text: str) -> None:
    with pytest.raises(TidegateError, match="cannot be parsed") as caught:
        parse_text(text)
    assert caught.value.kind is ErrorKind.ENGINE_FAILED


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"deployments": [{}]}', '{"deployments": 3}', '{"deployments": [1]}']
)
def test_json_in_no_known_shape(text: str) -> None:
    with pytest.raises(TidegateError, match="cannot be parsed"):
        parse_json(text)


@given(st.text() | st.lists(st.sampled_from(STAGED_2022_7.splitlines())).map("\n".join))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        listing = parse_text(text)
    except TidegateError:
        return
    assert [entry.index for entry in listing] == list(range(len(listing)))


def test_the_date_of_a_commit() -> None:
    shown = f"commit {V1}\nContentChecksum:  {V2}\nDate:  2026-01-01 00:00:00 +0000\nVersion: 1.0\n(no subject)\n"
    assert parse_date(shown) == datetime(2026, 1, 1, tzinfo=UTC)
    with pytest.raises(TidegateError):
        parse_date("commit\n")
