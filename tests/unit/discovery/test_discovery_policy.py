"""The choice among offers: the newest that no rule excludes, and no downgrade unless allowed."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.discovery.base import Offers
from tidegate.discovery.graph import SCHEME_KEY
from tidegate.discovery.policy import Cause, Choice, Rules, choose
from tidegate.engines.entry import CHECKSUM_SCHEME, OCI_SCHEME
from tidegate.engines.registry import scheme_of
from tidegate.release import Release

NO_RULES = Rules(denied={})


def release(age_index: int | None, payload: str = "", scheme: str | None = "checksum") -> Release:
    metadata: Mapping[str, str] = {} if scheme is None else {SCHEME_KEY: scheme}
    return Release(f"{age_index}.0", payload or f"c{age_index}", age_index, metadata)


def offers(*candidates: Release, booted: Release | None = release(5)) -> Offers:  # noqa: B008  (frozen)
    return Offers(candidates, booted, None)


def causes(choice: Choice) -> dict[str, Cause]:
    return {passed.release.payload: passed.cause for passed in choice.passed_over}


def test_nothing_on_offer() -> None:
    assert choose(offers(), NO_RULES) == Choice(None, ())


def test_the_newest_is_the_target() -> None:
    choice = choose(offers(release(6), release(8), release(7)), NO_RULES)
    assert choice.target == release(8)
    assert causes(choice) == {"c6": Cause.SUPERSEDED, "c7": Cause.SUPERSEDED}
    assert choice.passed_over[0].reason == "is superseded by 8.0, which is offered as well"


def test_what_is_denied_gives_way_to_the_next() -> None:
    choice = choose(offers(release(6), release(7)), Rules(denied={"c7": "fell back on 2026-11-20"}))
    assert choice.target == release(6)
    assert [(p.cause, p.reason) for p in choice.passed_over] == [(Cause.DENIED, "is denied: fell back on 2026-11-20")]


@pytest.mark.parametrize("age_index", [4, 5])
def test_no_way_down_without_leave(age_index: int) -> None:
    down = release(age_index, payload="down")
    refused = choose(offers(down), NO_RULES)
    assert refused.target is None
    assert causes(refused) == {"down": Cause.DOWNGRADE}
    assert f"age index {age_index}, booted 5.0 has 5" in refused.passed_over[0].reason
    assert choose(offers(down), Rules(denied={}, allow_downgrade=True)).target == down


def test_the_way_up_goes_before_an_allowed_way_down() -> None:
    choice = choose(offers(release(4), release(6)), Rules(denied={}, allow_downgrade=True))
    assert choice.target == release(6)


@pytest.mark.parametrize(("candidate", "booted"), [(None, release(5)), (6, None), (6, release(None))])
def test_what_has_no_order_may_lead_down(candidate: int | None, booted: Release | None) -> None:
    choice = choose(offers(release(candidate), booted=booted), NO_RULES)
    assert choice.target is None
    assert choice.passed_over[0].cause is Cause.DOWNGRADE


@pytest.mark.parametrize(
    ("scheme", "text"), [("oci", "is of scheme 'oci'"), (None, "names no scheme"), ("", "names no")]
)
def test_only_what_the_engine_stages(scheme: str | None, text: str) -> None:
    choice = choose(offers(release(6, scheme=scheme)), NO_RULES)
    assert choice.target is None
    assert causes(choice) == {"c6": Cause.UNUSABLE}
    assert choice.passed_over[0].reason.startswith(text)
    assert choice.passed_over[0].reason.endswith("this host stages 'checksum'")


@pytest.mark.parametrize(
    ("payload", "scheme"),
    [
        ("7c23c4735fb3c541586f0a4d3ca956ef93ef7d76f00a19bccf51460bafa7ee97", CHECKSUM_SCHEME),
        (f"quay.io/fedora/fedora-coreos@sha256:{'a' * 64}", OCI_SCHEME),
        (f"registry.example:5000/os@sha256:{'0' * 64}", OCI_SCHEME),
        (f"sha256:{'a' * 64}", CHECKSUM_SCHEME),
        ("quay.io/fedora/fedora-coreos:stable", CHECKSUM_SCHEME),
        ("", CHECKSUM_SCHEME),
    ],
)
def test_the_scheme_follows_from_what_the_host_runs(payload: str, scheme: str) -> None:
    assert scheme_of(payload) == scheme


def test_a_host_that_runs_an_image_takes_images() -> None:
    choice = choose(offers(release(6, scheme="oci"), release(7)), Rules(denied={}, scheme=OCI_SCHEME))
    assert choice.target is not None
    assert choice.target.age_index == 6
    assert causes(choice) == {"c7": Cause.UNUSABLE}


def test_of_the_same_age_all_hosts_choose_the_same() -> None:
    twins = (release(6, "a"), release(6, "b"))
    assert choose(offers(*twins), NO_RULES).target == choose(offers(*reversed(twins)), NO_RULES).target


CANDIDATES = st.builds(
    release, st.integers(0, 9) | st.none(), st.text("abc", min_size=1, max_size=2), st.sampled_from(["checksum", "oci"])
)
RULES = st.builds(Rules, st.dictionaries(st.text("abc", min_size=1, max_size=2), st.just("bad")), st.booleans())


@given(st.lists(CANDIDATES, unique_by=lambda r: r.payload), RULES, st.integers(0, 9))
def test_the_target_is_a_maximal_allowed_offer_and_all_others_are_accounted_for(
    candidates: list[Release], rules: Rules, booted_age: int
) -> None:
    choice = choose(offers(*candidates, booted=release(booted_age, "booted")), rules)
    assert {r.payload for r in candidates} == {*causes(choice), *([choice.target.payload] if choice.target else [])}
    assert len(choice.passed_over) == len(candidates) - (choice.target is not None)
    if choice.target is None:
        assert Cause.SUPERSEDED not in causes(choice).values()
        return
    assert choice.target.payload not in rules.denied
    assert rules.allow_downgrade or (choice.target.age_index or 0) > booted_age
    superseded = [p.release for p in choice.passed_over if p.cause is Cause.SUPERSEDED]
    assert all((r.age_index or -1) <= (choice.target.age_index or -1) for r in superseded)
