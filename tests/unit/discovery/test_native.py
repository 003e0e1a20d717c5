"""Discovery from the engine's own source: its offers, and the kinds of its errors."""

from __future__ import annotations

import asyncio

import pytest

from tests.fakes.engine import FakeEngine, FakeHost, payload_of
from tidegate.discovery.base import Offers
from tidegate.discovery.native import Native, offers_of
from tidegate.discovery.policy import Cause, Rules, choose
from tidegate.engines.base import Latest
from tidegate.engines.unsupported import UnsupportedEngine
from tidegate.errors import ErrorKind, Failure, TidegateError
from tidegate.release import Release

SET_UP = Rules(denied={})
IMAGE = "registry.example/os@sha256:" + "a" * 64


def found(host: FakeHost) -> Offers:
    return asyncio.run(Native(FakeEngine(host).latest).find(host.booted.payload, host.booted.version))


def refusal(source: Native) -> TidegateError:
    with pytest.raises(TidegateError) as caught:
        asyncio.run(source.find(payload_of("1"), "1"))
    assert caught.value.remedy
    return caught.value


def failing(error: TidegateError) -> Native:
    engine = FakeEngine(FakeHost("1"))
    engine.fail("latest", error)
    return Native(engine.latest)


def test_the_newest_of_the_branch_is_the_target_whatever_lies_between() -> None:
    host = FakeHost("1")
    host.publish("2")
    third = host.publish("3")
    offers = found(host)
    assert offers.candidates == (Release(third.version, third.payload, 3),)
    assert offers.booted_known
    assert choose(offers, SET_UP).target == offers.candidates[0]


def test_nothing_is_offered_where_the_booted_release_is_the_newest() -> None:
    offers = found(FakeHost("1"))
    assert (offers.candidates, offers.booted_known, offers.dead_end) == ((), True, None)


def test_the_end_of_a_branch_is_a_dead_end_once_the_host_is_there() -> None:
    host = FakeHost("1")
    host.end_of_life = "use demo/next"
    assert found(host).dead_end == "use demo/next"
    host.publish("2")
    assert found(host).dead_end is None
    assert len(found(host).candidates) == 1


@pytest.mark.parametrize("age", [1, 2])
def test_a_branch_that_was_set_back_takes_nobody_down(age: int) -> None:
    latest = Latest(Release("2", payload_of("2"), 2), Release("1", payload_of("1"), age))
    choice = choose(offers_of(latest), SET_UP)
    assert choice.target is None
    assert [passed.cause for passed in choice.passed_over] == [Cause.DOWNGRADE]
    assert choose(offers_of(latest), Rules({}, allow_downgrade=True)).target == latest.newest


def test_releases_without_an_order_lead_nowhere() -> None:
    latest = Latest(Release("1", payload_of("1")), Release("2", payload_of("2")))
    assert choose(offers_of(latest), SET_UP).target is None


def test_a_denied_release_stays_denied() -> None:
    host = FakeHost("1")
    payload = host.publish("2").payload
    assert choose(found(host), Rules({payload: "bad health"})).target is None


def test_one_release_under_two_names_is_one_release() -> None:
    latest = Latest(Release("1", payload_of("1"), 1), Release("1.0", payload_of("1"), 1))
    assert offers_of(latest).candidates == ()


def test_images_are_offered_as_images() -> None:
    latest = Latest(Release("1", IMAGE.replace("a" * 64, "b" * 64), 1), Release("2", IMAGE, 2))
    assert choose(offers_of(latest), Rules({}, scheme="oci")).target == latest.newest


@pytest.mark.parametrize(
    ("engine_kind", "kind"),
    [
        (ErrorKind.ENGINE_REMOTE_DOWN, ErrorKind.DISCOVERY_UNREACHABLE),
        (ErrorKind.ENGINE_TIMEOUT, ErrorKind.DISCOVERY_UNREACHABLE),
        (ErrorKind.ENGINE_UNREACHABLE, ErrorKind.DISCOVERY_UNREACHABLE),
        (ErrorKind.ENGINE_FAILED, ErrorKind.DISCOVERY_UNREACHABLE),
        (ErrorKind.ENGINE_UNKNOWN_RELEASE, ErrorKind.DISCOVERY_REFUSED),
        (ErrorKind.ENGINE_BAD_SIGNATURE, ErrorKind.DISCOVERY_NONSENSE),
        (ErrorKind.ENGINE_CORRUPT, ErrorKind.DISCOVERY_NONSENSE),
        (ErrorKind.ENGINE_UNSUPPORTED_VERB, ErrorKind.DISCOVERY_UNAVAILABLE),
    ],
)
def test_an_error_of_the_engine_is_one_of_a_check(engine_kind: ErrorKind, kind: ErrorKind) -> None:
    error = refusal(failing(TidegateError(engine_kind, "what the engine said", "mend it")))
    assert (error.kind, error.message) == (kind, "what the engine said")
    assert error.remedy.endswith("mend it")


def test_a_host_that_follows_nothing_is_told_to_set_a_graph() -> None:
    why = Failure(ErrorKind.ENGINE_UNSUPPORTED_HOST, "no engine fits", "install one")
    error = refusal(Native(UnsupportedEngine(why).latest))
    assert error.kind is ErrorKind.DISCOVERY_UNAVAILABLE
    assert error.message == "no engine fits"
    assert error.remedy == "set cincinnati.base_url or discovery.static_graph.url, or: install one"


def test_an_engine_that_does_not_answer_is_given_up() -> None:
    engine = FakeEngine(FakeHost("1"))
    with engine.hold("latest"):
        error = refusal(Native(engine.latest, timeout_secs=0))
    assert error.kind is ErrorKind.DISCOVERY_UNREACHABLE
    assert "within 0 s" in error.message
