"""Who gets how many places, and that they come back."""

from __future__ import annotations

import asyncio

import pytest

from tests.fakes.asyncs import run
from tidegate.bus.call_limits import MAX_CALLS, MAX_CALLS_OF_A_USER, MAX_CALLS_OF_ONE, ROOT, CallLimits
from tidegate.bus.callers import MAX_REMEMBERED, Callers
from tidegate.bus.errors import LIMITS_EXCEEDED, ErrorReply
from tidegate.bus.interface import Caller

WILD = 1000


def taken(places: CallLimits, sender: str, uid: int | None, at_most: int = 1000) -> int:
    """How many places ``sender`` gets."""
    return next(count for count in range(at_most + 1) if count == at_most or not places.take(sender, uid))


def test_a_connection_has_its_share() -> None:
    places = CallLimits()
    assert taken(places, ":1.1", None) == MAX_CALLS_OF_ONE
    assert places.take(":1.2", None)
    places.leave(":1.1")
    assert taken(places, ":1.1", None) == 1


def test_there_is_an_end_to_them() -> None:
    places = CallLimits()
    assert sum(taken(places, f":1.{number}", None) for number in range(100)) == MAX_CALLS
    assert not places.take(":1.200", ROOT)
    places.leave(":1.3")
    assert places.take(":1.200", ROOT)


def test_a_user_has_a_share_whatever_the_number_of_connections() -> None:
    places = CallLimits()
    held = [places.of_user(WILD) for _ in range(MAX_CALLS_OF_A_USER)]
    for one in held:
        one.__enter__()
    with pytest.raises(ErrorReply) as caught, places.of_user(WILD):
        pass
    assert caught.value.error_name == LIMITS_EXCEEDED
    assert not places.take(":1.9", WILD), "who is known is not even let in"
    assert places.take(":1.9", None)
    assert places.take(":1.8", WILD + 1)
    assert places.take(":1.7", ROOT)
    held.pop().__exit__(None, None, None)
    assert places.take(":1.6", WILD)


def test_root_is_never_short_of_them_for_being_root() -> None:
    places = CallLimits()
    for _ in range(2 * MAX_CALLS_OF_A_USER):
        places.of_user(ROOT).__enter__()
    assert places.take(":1.1", ROOT)


def test_a_caller_is_looked_up_once() -> None:
    async def scenario() -> None:
        asked: list[str] = []

        async def ask(name: str) -> Caller:
            asked.append(name)
            await asyncio.sleep(0)
            return Caller(name, 7, None)

        callers = Callers(ask)
        assert callers.uid_of(":1.1") is None
        for _ in range(3):
            assert await callers.identify(":1.1") == Caller(":1.1", 7, None)
        assert (asked, callers.uid_of(":1.1"), callers.uid_of(":1.2")) == ([":1.1"], 7, None)
        for number in range(MAX_REMEMBERED):
            await callers.identify(f":2.{number}")
        assert callers.uid_of(":1.1") is None, "the memory has an end"
        assert callers.uid_of(":2.0") == 7

    run(scenario())


def test_who_cannot_be_looked_up_is_not_remembered() -> None:
    async def scenario() -> None:
        async def ask(name: str) -> Caller:
            raise ValueError(name)

        callers = Callers(ask)
        with pytest.raises(ValueError, match=":1"):
            await callers.identify(":1.1")
        assert callers.uid_of(":1.1") is None

    run(scenario())
