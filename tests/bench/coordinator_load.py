"""The loads of the coordinator's bench: closed and open loops, and states to begin with."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.cluster.load import HEADER
from tests.cluster.wire import Connection

DEADLINE_SECS = 60.0
"""Nothing is given up: who waits so long is in the figures."""

ROOMY, FULL, HUGE = "roomy", "full", "huge"
SLOTS = {ROOMY: 2_000, FULL: 1, HUGE: 20_000}
"""More than ever ask at once; always taken; for the figures of memory."""

HOSTS_WAITING = 1_000
REQUESTS_A_SECOND = 350
HOSTS_AN_HOUR, POLLS_AN_HOUR = 10_000, 12
"""A fleet that asks every five minutes."""

LOADERS = 100
"""Connections through which states are prepared."""

LOCK, UNLOCK = "pre-reboot", "steady-state"

Connect = Callable[[], Connection]


@dataclass(frozen=True, slots=True)
class Closed:
    """A closed loop: each client locks and unlocks as fast as it is answered."""

    cycles_a_second: float
    median_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Open:
    """An open loop: requests are sent when they are due. Time counts from then, whether or not one could be sent."""

    median_ms: float
    p99_ms: float
    worst_ms: float
    answers: int


async def closed(connect: Connect, clients: int, secs: float) -> Closed:
    """Cycles by ``clients`` at a time for ``secs``, in a group with room for all."""
    waits: list[float] = []
    end = time.monotonic() + secs
    done = await asyncio.gather(*(_cycles(connect(), ROOMY, n, end, waits) for n in range(clients)))
    return Closed(sum(done) / secs, *_percentiles_ms(waits))


async def _cycles(connection: Connection, group: str, number: int, end: float, waits: list[float]) -> int:
    """Cycles until ``end``; one that is not whole by then does not count, and is ended all the same."""
    lock, unlock = (_request(connection, verb, number, group) for verb in (LOCK, UNLOCK))
    cycles = 0
    while time.monotonic() < end:
        for request in (lock, unlock):
            sent = time.monotonic()
            reply = await connection.exchange(request, deadline_secs=DEADLINE_SECS)
            waits.append(time.monotonic() - sent)
            if reply.status != 200:
                raise RuntimeError(f"{reply.status} {reply.body!r}")
        cycles += time.monotonic() < end
    connection.close()
    return cycles


async def in_turn(connect: Connect, secs: float) -> Open:
    """Each host in its turn; one whose last request is still under way is late, and that counts."""
    hosts = [(connect(), asyncio.Lock()) for _ in range(HOSTS_WAITING)]
    waits: list[float] = []
    begun = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        for number in range(int(secs * REQUESTS_A_SECOND)):
            due = begun + number / REQUESTS_A_SECOND
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            place = number % HOSTS_WAITING
            tasks.create_task(_denied(*hosts[place], 1 + place, due, waits))
    for connection, _ in hosts:
        connection.close()
    return Open(*_percentiles_ms(waits), 1000 * max(waits), len(waits))


async def _denied(connection: Connection, turn: asyncio.Lock, host: int, due: float, waits: list[float]) -> None:
    async with turn:
        reply = await connection.exchange(_request(connection, LOCK, host, FULL), deadline_secs=DEADLINE_SECS)
    if reply.status != 423:
        raise RuntimeError(f"{reply.status} {reply.body!r}")
    waits.append(time.monotonic() - due)


async def lock_all(connect: Connect, group: str, holders: int) -> None:
    """Hosts 0, 1, 2 ... hold a slot."""
    await _spread(connect, [(LOCK, number, group) for number in range(holders)], {200})


async def fleet_hours(connect: Connect, hours: float) -> None:
    """A fleet's requests, as fast as they go."""
    number = int(HOSTS_AN_HOUR * POLLS_AN_HOUR * hours)
    asked = [(LOCK, 1 + one % HOSTS_AN_HOUR, FULL) for one in range(number)]
    await _spread(connect, asked, {423})


async def _spread(connect: Connect, asked: Sequence[tuple[str, int, str]], statuses: set[int]) -> None:
    """Requests, over a number of connections."""

    async def through(connection: Connection, mine: Sequence[tuple[str, int, str]]) -> None:
        for verb, number, group in mine:
            request = _request(connection, verb, number, group)
            reply = await connection.exchange(request, deadline_secs=DEADLINE_SECS)
            if reply.status not in statuses:
                raise RuntimeError(f"{reply.status} {reply.body!r}")
        connection.close()

    await asyncio.gather(*(through(connect(), asked[first::LOADERS]) for first in range(LOADERS)))


def _request(connection: Connection, verb: str, number: int, group: str) -> bytes:
    body = json.dumps({"client_params": {"id": f"{number:032x}", "group": group}}).encode()
    return connection.request(f"/v1/{verb}", body, HEADER)


async def tight(port: int, clients: int, path: str, body: bytes, secs: float) -> float:
    """The same request again and again, by ``clients`` at a time; how many a second."""

    async def one() -> int:
        connection, done = Connection("127.0.0.1", port), 0
        request = connection.request(path, body, HEADER)
        while time.monotonic() < end:
            await connection.exchange(request, deadline_secs=DEADLINE_SECS)
            done += 1
        connection.close()
        return done

    end = time.monotonic() + secs
    return sum(await asyncio.gather(*(one() for _ in range(clients)))) / secs


def _percentiles_ms(waits_secs: Sequence[float]) -> tuple[float, float]:
    ordered = sorted(waits_secs)
    return 1000 * ordered[len(ordered) // 2], 1000 * ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
