"""How many calls are admitted at once, and that handled ones make room."""

from __future__ import annotations

import asyncio

import pytest

from tests.fakes.asyncs import run
from tidegate.bus.call_limits import MAX_CALLS, MAX_CALLS_OF_A_USER, MAX_CALLS_OF_ONE, ROOT, CallLimits
from tidegate.bus.callers import MAX_REMEMBERED, Callers
from tidegate.bus.errors import LIMITS_EXCEEDED, ErrorReply
from tidegate.bus.interface import Caller

USER = 1000


def admitted(limits: CallLimits, sender: str, uid: int | None, at_most: int = 1000) -> int:
    """How many calls of ``sender`` are admitted."""
    return next(count for count in range(at_most + 1) if count == at_most or not limits.acquire(sender, uid))


def test_a_connection_has_its_share() -> None:
    limits = CallLimits()
    assert admitted(limits, ":1.1", None) == MAX_CALLS_OF_ONE
    assert limits.acquire(":1.2", None)
    limits.release(":1.1")
    assert admitted(limits, ":1.1", None) == 1


def test_there_is_an_end_to_them() -> None:
    limits = CallLimits()
    assert sum(admitted(limits, f":1.{number}", None) for number in range(100)) == MAX_CALLS
    assert not limits.acquire(":1.200", ROOT)
    limits.release(":1.3")
    assert limits.acquire(":1.200", ROOT)


def test_a_user_has_a_share_whatever_the_number_of_connections() -> None:
    limits = CallLimits()
    held = [limits.of_user(USER) for _ in range(MAX_CALLS_OF_A_USER)]
    for one in held:
        one.__enter__()
    with pytest.raises(ErrorReply) as caught, limits.of_user(USER):
        pass
    assert caught.value.error_name == LIMITS_EXCEEDED
    assert not limits.acquire(":1.9", USER), "a cached user is refused at once"
    assert limits.acquire(":1.9", None)
    assert limits.acquire(":1.8", USER + 1)
    assert limits.acquire(":1.7", ROOT)
    held.pop().__exit__(None, None, None)
    assert limits.acquire(":1.6", USER)


def test_root_is_never_short_of_them_for_being_root() -> None:
    limits = CallLimits()
    for _ in range(2 * MAX_CALLS_OF_A_USER):
        limits.of_user(ROOT).__enter__()
    assert limits.acquire(":1.1", ROOT)


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
