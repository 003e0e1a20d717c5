"""All that waits in a group becomes one compare-and-swap: hundreds of callers cost the store what one does.

One task a group goes round: take everything that waits, decide it on the version at hand, write, answer. Callers that
come meanwhile are the next round's. What makes it safe:

- A grant or a release is answered when the store has swapped, and that it only does where nobody else has.
- After an error or a conflict nothing is sent again: the version is read anew and everything decided anew. A swap that
  was carried out though its answer was lost is then seen as done: the caller has its slot already, or has none.
- A swap whose answer was lost may also be carried out later: a member that was frozen goes on. As long as the version
  is still the one that it was sent for, nothing is said before something was written over it, be it the same again.
- What changes nothing ("has none", and the like) is answered once the version was confirmed after the call came in.
- Only a denial may rest on a version that was confirmed shortly before. It is what the caller would have been told had
  it come ``DENIAL_AGE_SECS`` earlier, and the slots that this coordinator frees itself are always seen.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import islice

from tidegate.clock import Clock
from tidegate.coordinator.group_clock import GroupClock
from tidegate.coordinator.lock import Decision, decide
from tidegate.coordinator.model import Answer, AuditEvent, Call, Change, Command, Denied, Granted, Rules
from tidegate.coordinator.store.base import Store, Swapped, Version, unavailable
from tidegate.errors import ErrorKind, TidegateError

CALL_SECS = 4.0
"""Until a caller is told that the store is away: one request to a member that does not answer, and one to the next."""

DENIAL_AGE_SECS = 0.1
RETRY_SECS = 0.1
"""After an error. A member that went down refuses at once, so that without it there would be thousands of attempts."""

MAX_WAITING = 20_000
"""Callers in the queue. Each has a connection of its own, so that more would come from something that is broken."""

MAX_ROUND = 2_000
"""Orders that one round looks at, for the loop's sake: a denial takes microseconds."""

_log = logging.getLogger(__name__)

OnEvent = Callable[[AuditEvent], None]


@dataclass(frozen=True, slots=True, eq=False)
class _Caller:
    """Somebody who waits; ``came_secs`` is on the boot clock."""

    command: Command
    answer: asyncio.Future[Answer]
    came_secs: float


@dataclass(frozen=True, slots=True)
class Setting:
    """What all combiners of a coordinator have in common. ``hear`` is told what this coordinator has done, once it is
    done; it must not raise. ``timeout_secs`` is how long a caller waits at most."""

    clock: Clock
    on_event: OnEvent
    timeout_secs: float = CALL_SECS


class Combiner:
    """The calls of one group. ``rules`` may be replaced at any time."""

    def __init__(self, group: str, store: Store, rules: Rules, setting: Setting) -> None:
        self.rules = rules
        self._group, self._store = group, store
        self._clock, self._on_event, self._timeout_secs = setting.clock, setting.on_event, setting.timeout_secs
        self._time = GroupClock(setting.clock)
        self._queue: deque[_Caller] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._version: Version | None = None
        self._doubted: int | None = None
        """The revision that a swap without an answer was sent for."""
        self._confirmed_secs = 0.0
        self._trouble: TidegateError | None = None
        self._waiting_hosts = WaitingHosts(setting.clock)

    async def submit(self, command: Command) -> Answer:
        """Carry out ``order``. Where the caller goes away before its turn, nothing is done for it.

        Raises:
            TidegateError: ``coordinator.store-unavailable``, in time; ``coordinator.store-nonsense``.
        """
        if len(self._queue) >= MAX_WAITING:
            raise unavailable(f"{MAX_WAITING} calls wait for group {self._group} already", "look at what sends them")
        caller = _Caller(command, asyncio.get_running_loop().create_future(), self._clock.now().boot_secs)
        self._queue.append(caller)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work(), name=f"combiner of {self._group}")
        try:
            async with asyncio.timeout(self._timeout_secs):
                return await caller.answer
        except TimeoutError:
            raise self._too_late() from None

    async def view(self) -> tuple[Version, Mapping[str, Denied]]:
        """What is held, by the word of the whole store, and who was told to wait.

        Raises:
            TidegateError: as of :meth:`submit`.
        """
        known = self._version
        try:
            async with asyncio.timeout(self._timeout_secs):
                version = await (self._store.read(self._group) if known is None else known.confirmed())
        except TimeoutError:
            raise self._too_late() from None
        return version, self._waiting_hosts.told(version.semaphore.holders)

    async def aclose(self) -> None:
        """Stop. Who still waits hears of it."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.cancel()
            await asyncio.wait([worker])
        self._fail_all(unavailable("this coordinator stops"))

    async def _work(self) -> None:
        while self._queue or self._doubted is not None:
            try:
                await self._round()
            except TidegateError as error:
                await self._after(error)
            except Exception as defect:  # noqa: BLE001 - whatever it is, those who wait hear of it
                _log.exception("group %s", self._group)
                self._version = self._doubted = None
                self._fail_all(TidegateError(ErrorKind.COORDINATOR_STORE_UNAVAILABLE, f"a defect: {defect!r}"))
            self._forget_answered()

    async def _round(self) -> None:
        asked_secs = self._clock.now().boot_secs
        version = self._version
        if version is None:
            version = self._keep(await self._store.read(self._group), asked_secs)
        if version.revision != self._doubted:
            self._doubted = None
        callers = [caller for caller in islice(self._queue, MAX_ROUND) if not caller.answer.done()]
        now = self._time.now(version.semaphore.as_of)
        decision = decide(version.semaphore, [caller.command for caller in callers], self.rules, now, self._group)
        same = None if self._doubted is None else Change(version.semaphore)
        change = decision.change or same
        if change is not None:
            await self._write(version, change, zip(callers, decision.answers, strict=False))
        elif not self._answer_proved(callers, decision):
            asked_secs = self._clock.now().boot_secs
            self._keep(await version.confirmed(), asked_secs)

    async def _write(self, version: Version, change: Change, answers: Iterable[tuple[_Caller, Answer]]) -> None:
        asked_secs = self._clock.now().boot_secs
        self._doubted = version.revision
        result = await version.swap(change)
        self._doubted = None
        self._keep(result.version, asked_secs)
        if not isinstance(result, Swapped):
            return  # the next round decides on what the faster one left
        for caller, answer in answers:
            self._answer(caller, _stamped(answer, result.version.revision))
        for event in change.audit_events:
            self._on_event(event)

    def _answer_proved(self, callers: list[_Caller], decision: Decision) -> bool:
        """Answer those for whom the version at hand is new enough; whether these were all."""
        oldest_secs = self._clock.now().boot_secs - DENIAL_AGE_SECS
        for caller, answer in zip(callers, decision.answers, strict=True):
            recent = isinstance(answer, Denied) and self._confirmed_secs >= oldest_secs
            if recent or self._confirmed_secs >= caller.came_secs:
                self._answer(caller, answer)
        return all(caller.answer.done() for caller in callers)

    def _answer(self, caller: _Caller, answer: Answer) -> None:
        if caller.answer.done():
            return  # it went away
        caller.answer.set_result(answer)
        if isinstance(caller.command, Call):
            self._waiting_hosts.record(caller.command.client.id, answer)

    def _keep(self, version: Version, asked_secs: float) -> Version:
        self._version, self._confirmed_secs, self._trouble = version, asked_secs, None
        return version

    async def _after(self, error: TidegateError) -> None:
        self._version, self._trouble = None, error
        if error.kind is not ErrorKind.COORDINATOR_STORE_UNAVAILABLE:  # that was an answer: nothing is on its way
            self._doubted = None
            self._fail_all(error)
            return
        await asyncio.sleep(RETRY_SECS)

    def _fail_all(self, error: TidegateError) -> None:
        for caller in self._queue:
            if not caller.answer.done():
                caller.answer.set_exception(error.failure.error())
        self._queue.clear()

    def _forget_answered(self) -> None:
        self._queue = deque(caller for caller in self._queue if not caller.answer.done())

    def _too_late(self) -> TidegateError:
        why = f": {self._trouble.message}" if self._trouble else ""
        remedy = self._trouble.remedy if self._trouble else ""
        return unavailable(f"the store does not answer within {self._timeout_secs:g} s{why}", remedy)


def _stamped(answer: Answer, revision: int) -> Answer:
    return replace(answer, revision=revision) if isinstance(answer, Granted) else answer


MAX_HOSTS = 10_000
"""Those that were heard of last. An answer is shared by all who were denied at once, so that a host is its id."""

FORGOTTEN_SECS = 15 * 60.0
"""Agents ask again every five minutes; one that has not for three times that waits no more."""


@dataclass(frozen=True, slots=True)
class _Told:
    answer: Denied
    boot_secs: float


class WaitingHosts:
    """The last denial of each host, until it gets what it wants or is heard of no more."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told: dict[str, _Told] = {}

    def record(self, host_id: str, answer: Answer) -> None:
        """A host was answered."""
        self._told.pop(host_id, None)  # so that the order is that of the last answers
        if isinstance(answer, Denied):
            self._told[host_id] = _Told(answer, self._clock.now().boot_secs)
            if len(self._told) > MAX_HOSTS:
                del self._told[next(iter(self._told))]

    def told(self, holders: Container[str]) -> Mapping[str, Denied]:
        """Who waits, the longest silent first. A holder got its slot elsewhere."""
        since = self._clock.now().boot_secs - FORGOTTEN_SECS
        self._told = {host: told for host, told in self._told.items() if told.boot_secs >= since}
        return {host: told.answer for host, told in self._told.items() if host not in holders}
