"""Hosts that lock and unlock as real agents do, only faster; a lost request is retried.

A real host takes minutes between a lock and an unlock, and days until the next lock. So here an id of which a call was
lost is used for one cycle only; its host goes on under a new id, and long after asks once more to be rid of whatever a
call that was late has left, as an agent does at its start.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from tests.cluster.checker import Call, Seen, Verb
from tests.cluster.wire import BrokenError, Connection, Reply

HEADER = b"fleet-lock-protocol: true\r\n"
PATIENCE_SECS = 6.0
"""How long a host waits for a reply. The real ones wait longer; the shorter, the more calls are lost."""

HOLD_SECS = (0.0, 0.02)
DENIED_SECS = (0.05, 0.3)
TROUBLE_SECS = (0.05, 0.25)
"""Until the next attempt. ``Retry-After`` is passed over: a cycle that took minutes would not be one of 100,000."""

GIVES_UP = 0.3
"""How many hosts of a lost lock do not ask again and give back instead: their window has closed."""

SOON_SECS = 0.1
PENSION_CLERKS = 10
"""How many ids at a time are asked a last time; in bad moments dozens a second are given up."""

REST_SECS = 15.0
"""Until an id that was given up asks a last time: longer than the lab freezes a coordinator, a coordinator works on a
call, and a member of etcd that is frozen after that may keep what it was sent."""


@dataclass(frozen=True, slots=True)
class Group:
    """A group and how many hosts want its slots."""

    name: str
    slots: int
    hosts: int


@dataclass(slots=True)
class Log:
    """What the hosts of a group saw. Refusals are only counted: they explain no change."""

    calls: defaultdict[str, list[Call]] = field(default_factory=lambda: defaultdict[str, list[Call]](list))
    answers: Counter[str] = field(default_factory=Counter[str])
    nonsense: list[str] = field(default_factory=list[str])
    cycles: int = 0


class Caller:
    """Makes calls, each through any of the coordinators, as a balancer would choose them; one at a time."""

    def __init__(self, group: Group, servers: Sequence[tuple[str, int]], log: Log, random: Random) -> None:
        self.group = group
        self.log = log
        self.random = random
        self._connections = [Connection(*server) for server in servers]

    async def ask(self, client: str, verb: Verb) -> Seen | None:
        """One call. None: it was refused, or it never got as far as a server."""
        body = json.dumps({"client_params": {"id": client, "group": self.group.name}}).encode()
        connection = self.random.choice(self._connections)
        sent = time.monotonic()
        try:
            reply = await connection.post(f"/v1/{verb}", body, HEADER, deadline_secs=PATIENCE_SECS)
        except BrokenError as broken:
            self.log.answers[f"{verb} {'unsent' if broken.unsent else 'lost'}"] += 1
            return None if broken.unsent else self._note(client, Call(verb, Seen.LOST, sent, time.monotonic()))
        return self._understand(client, verb, reply, sent)

    async def give_back(self, client: str) -> None:
        """Until it is given back, however long that takes."""
        while await self.ask(client, Verb.UNLOCK) is not Seen.YES:
            await self.pause(TROUBLE_SECS)

    async def pause(self, secs: tuple[float, float]) -> None:
        """Between two calls."""
        await asyncio.sleep(self.random.uniform(*secs))

    def close(self) -> None:
        """Hang up."""
        for connection in self._connections:
            connection.close()

    def _understand(self, client: str, verb: Verb, reply: Reply, sent: float) -> Seen | None:
        done = time.monotonic()
        self.log.answers[f"{verb} {reply.status}"] += 1
        match reply.status:
            case 200:
                return self._note(client, Call(verb, Seen.YES, sent, done, revision_in(reply.body)))
            case 423:
                return None
            case status if status >= 500:
                return self._note(client, Call(verb, Seen.LOST, sent, done))
            case _:
                self.log.nonsense.append(f"{verb}: {reply.status} {reply.body[:200]!r}")
                return None

    def _note(self, client: str, call: Call) -> Seen:
        self.log.calls[client].append(call)
        return call.seen


class Host:
    """One of a group's hosts, number ``number``."""

    def __init__(self, caller: Caller, number: int, retire: Callable[[str], None]) -> None:
        self._caller = caller
        self._number = number
        self._retire = retire
        self._life = 0

    @property
    def id(self) -> str:
        """32 hexadecimal digits: the host and which of its lives it is."""
        return f"{self._number:016x}{self._life:016x}"

    async def run(self, stop: asyncio.Event) -> None:
        """Cycle after cycle; the last one is ended properly."""
        while not stop.is_set():
            await self._cycle(stop)
            if any(call.seen is Seen.LOST for call in self._caller.log.calls[self.id]):
                self._retire(self.id)
                self._life += 1
        self._caller.close()

    async def _cycle(self, stop: asyncio.Event) -> None:
        granted = await self._lock(stop)
        if granted:
            await self._caller.pause(HOLD_SECS)
        await self._caller.give_back(self.id)
        self._caller.log.cycles += granted

    async def _lock(self, stop: asyncio.Event) -> bool:
        """Until it is granted. False: given up, and perhaps held none the less."""
        while not stop.is_set():
            match await self._caller.ask(self.id, Verb.LOCK):
                case Seen.YES:
                    return True
                case Seen.LOST if self._caller.random.random() < GIVES_UP:
                    return False
                case Seen.LOST:
                    await self._caller.pause(TROUBLE_SECS)
                case None:
                    await self._caller.pause(DENIED_SECS)
        return False


class Pension:
    """Where ids go that are not used any more: each asks once more when everything late has long happened."""

    def __init__(self, clerks: Sequence[Caller]) -> None:
        self._clerks = clerks
        self._resting: deque[tuple[float, str]] = deque()

    def retire(self, client: str) -> None:
        """Take it in."""
        self._resting.append((time.monotonic() + REST_SECS, client))

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop`` and nobody rests any more."""
        await asyncio.gather(*(self._serve(clerk, stop) for clerk in self._clerks))

    async def _serve(self, clerk: Caller, stop: asyncio.Event) -> None:
        while self._resting or not stop.is_set():
            if self._resting and self._resting[0][0] <= time.monotonic():
                await clerk.give_back(self._resting.popleft()[1])
            else:
                await asyncio.sleep(SOON_SECS)
        clerk.close()


async def use(group: Group, servers: Sequence[tuple[str, int]], log: Log, random: Random, stop: asyncio.Event) -> None:
    """All of a group's hosts, until ``stop`` and each has given back."""
    away = asyncio.Event()
    pension = Pension([Caller(group, servers, log, random) for _ in range(PENSION_CLERKS)])
    hosts = [Host(Caller(group, servers, log, random), number, pension.retire) for number in range(group.hosts)]
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(pension.run(away))
        await asyncio.gather(*(host.run(stop) for host in hosts))
        away.set()


def revision_in(body: bytes) -> int | None:
    """The store's revision that a grant names, where it does."""
    try:
        _, dash, revision = json.loads(body)["grant"].rpartition("-")
        return int(revision) if dash else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
