"""Batch a group's queued requests into one compare-and-swap.

One task for each group repeats a round: take the queued commands, decide them on the cached version, swap, answer.
Commands that arrive meanwhile are in the next round. So hundreds of callers cost the store as much as one, and callers
of one coordinator never conflict with each other. It is safe because of these rules:

- A grant or a release is answered after the store has swapped, which it does only if no other server has.
- After an error or a conflict no swap is sent again: the version is read anew and everything is decided anew. If the
  swap was carried out although its answer was lost, the new version shows it: the caller holds its slot, or none.
- A swap whose answer was lost may also be carried out later, by a member that was frozen. As long as the version is
  still the one that it was sent for, nothing is answered until something was written over it, at least the same state.
- A command that changes nothing is answered once the version was confirmed, by a linearizable read, after the command
  arrived. An unlock by a host without a slot is not one of these: it is written, as a fence (:mod:`.lock`), and one
  write serves for all of a round.
- Only a denial may rest on a version that was confirmed up to ``DENIAL_AGE_SECS`` before the command arrived. Slots
  freed through this coordinator are always seen.
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
from tidegate.coordinator.group_state import Change, Decision, decide
from tidegate.coordinator.group_store import Groups, Replaced, Version
from tidegate.coordinator.model import Answer, AuditEvent, Call, Command, Denied, Granted, Rules
from tidegate.coordinator.store.base import unavailable
from tidegate.errors import ErrorKind, TidegateError

CALL_SECS = 4.0
"""A caller's deadline: one request to a member that does not answer, and one to the next."""

DENIAL_AGE_SECS = 0.1

RETRY_SECS = 0.1
"""The pause after an error. A member that is down refuses connections at once: there would be thousands of attempts."""

MAX_QUEUED = 20_000
"""Commands in the queue. Each caller has a connection of its own, so that more can only come from a broken client."""

MAX_ROUND = 2_000
"""Commands considered in one round, so that it does not block the event loop: a denial takes microseconds."""

MAX_DENIED_HOSTS = 10_000
"""The latest denied hosts that are remembered. Hosts denied in one round share the answer, so each costs little."""

FORGET_DENIAL_SECS = 15 * 60.0
"""Agents ask again every five minutes; after three times that without a request, a host does not wait any more."""

OnEvent = Callable[[AuditEvent], None]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class _Caller:
    """A queued command and the future of its answer; ``arrived_secs`` is on the boot clock."""

    command: Command
    answer: asyncio.Future[Answer]
    arrived_secs: float


@dataclass(frozen=True, slots=True)
class Setting:
    """Resources that all combiners of a coordinator share.

    ``on_event`` is called with each change that this coordinator made, after the store has it; it must not raise.
    ``timeout_secs`` is a caller's deadline.
    """

    clock: Clock
    on_event: OnEvent
    timeout_secs: float = CALL_SECS


class Combiner:
    """Serves the commands of one group. ``rules`` may be replaced at any time."""

    def __init__(self, group: str, groups: Groups, rules: Rules, setting: Setting) -> None:
        self.rules = rules
        self._group, self._groups = group, groups
        self._clock, self._on_event, self._timeout_secs = setting.clock, setting.on_event, setting.timeout_secs
        self._time = GroupClock(setting.clock)
        self._queue: deque[_Caller] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._version: Version | None = None
        self._uncertain_revision: int | None = None
        """The revision for which a swap was sent whose answer was lost; None without one."""
        self._confirmed_secs = 0.0
        self._last_error: TidegateError | None = None
        self._denied_hosts = DeniedHosts(setting.clock)

    async def submit(self, command: Command) -> Answer:
        """Carry out ``command``. If the caller is cancelled before its round, nothing is done for it.

        Raises:
            TidegateError: ``coordinator.store-unavailable``, within the deadline; ``coordinator.store-nonsense``.
        """
        if len(self._queue) >= MAX_QUEUED:
            remedy = "check which clients send so many requests"
            raise unavailable(f"{MAX_QUEUED} calls are queued for group {self._group} already", remedy)
        caller = _Caller(command, asyncio.get_running_loop().create_future(), self._clock.now().boot_secs)
        self._queue.append(caller)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work(), name=f"combiner of {self._group}")
        try:
            async with asyncio.timeout(self._timeout_secs):
                return await caller.answer
        except TimeoutError:
            raise self._timed_out() from None

    async def view(self) -> tuple[Version, Mapping[str, Denied]]:
        """The current version, by a linearizable read, and the last denials by the id of the denied host.

        Raises:
            TidegateError: as of :meth:`submit`.
        """
        cached = self._version
        try:
            async with asyncio.timeout(self._timeout_secs):
                version = await (self._groups.read(self._group) if cached is None else cached.confirmed())
        except TimeoutError:
            raise self._timed_out() from None
        return version, self._denied_hosts.denials(version.state.semaphore.holders)

    async def aclose(self) -> None:
        """Stop; callers that still wait get an error."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.cancel()
            await asyncio.wait([worker])
        self._fail_all(unavailable("this coordinator stops"))

    async def _work(self) -> None:
        while self._queue or self._uncertain_revision is not None:
            try:
                await self._round()
            except TidegateError as error:
                await self._after(error)
            except Exception as defect:  # noqa: BLE001 - whatever it is, callers get an answer
                _log.exception("group %s", self._group)
                self._version = self._uncertain_revision = None
                self._fail_all(TidegateError(ErrorKind.COORDINATOR_STORE_UNAVAILABLE, f"a defect: {defect!r}"))
            self._drop_answered()

    async def _round(self) -> None:
        asked_secs = self._clock.now().boot_secs
        version = self._version
        if version is None:
            version = self._keep(await self._groups.read(self._group), asked_secs)
        if version.revision != self._uncertain_revision:
            self._uncertain_revision = None
        callers = [caller for caller in islice(self._queue, MAX_ROUND) if not caller.answer.done()]
        now = self._time.now(version.state.semaphore.as_of)
        decision = decide(version.state, [caller.command for caller in callers], self.rules, now, self._group)
        overwrite = None if self._uncertain_revision is None else Change(version.state)
        change = decision.change or overwrite
        if change is not None:
            await self._write(version, change, zip(callers, decision.answers, strict=False))
        elif not self._answer_confirmed(callers, decision):
            asked_secs = self._clock.now().boot_secs
            self._keep(await version.confirmed(), asked_secs)

    async def _write(self, version: Version, change: Change, answers: Iterable[tuple[_Caller, Answer]]) -> None:
        asked_secs = self._clock.now().boot_secs
        self._uncertain_revision = version.revision
        result = await version.swap(change)
        self._uncertain_revision = None
        self._keep(result.version, asked_secs)
        if not isinstance(result, Replaced):
            return  # the next round decides on what the other server wrote
        for caller, answer in answers:
            self._answer(caller, _with_revision(answer, result.version.revision))
        for event in change.audit_events:
            self._on_event(event)

    def _answer_confirmed(self, callers: list[_Caller], decision: Decision) -> bool:
        """Answer the callers for whom the version was confirmed recently enough; True if these were all."""
        oldest_secs = self._clock.now().boot_secs - DENIAL_AGE_SECS
        for caller, answer in zip(callers, decision.answers, strict=True):
            recent = isinstance(answer, Denied) and self._confirmed_secs >= oldest_secs
            if recent or self._confirmed_secs >= caller.arrived_secs:
                self._answer(caller, answer)
        return all(caller.answer.done() for caller in callers)

    def _answer(self, caller: _Caller, answer: Answer) -> None:
        if caller.answer.done():
            return  # it was cancelled
        caller.answer.set_result(answer)
        if isinstance(caller.command, Call):
            self._denied_hosts.record(caller.command.client.id, answer)

    def _keep(self, version: Version, asked_secs: float) -> Version:
        self._version, self._confirmed_secs, self._last_error = version, asked_secs, None
        return version

    async def _after(self, error: TidegateError) -> None:
        self._version, self._last_error = None, error
        if error.kind is not ErrorKind.COORDINATOR_STORE_UNAVAILABLE:  # the store answered: no swap is outstanding
            self._uncertain_revision = None
            self._fail_all(error)
            return
        await asyncio.sleep(RETRY_SECS)

    def _fail_all(self, error: TidegateError) -> None:
        for caller in self._queue:
            if not caller.answer.done():
                caller.answer.set_exception(error.failure.error())
        self._queue.clear()

    def _drop_answered(self) -> None:
        self._queue = deque(caller for caller in self._queue if not caller.answer.done())

    def _timed_out(self) -> TidegateError:
        why = f": {self._last_error.message}" if self._last_error else ""
        remedy = self._last_error.remedy if self._last_error else ""
        return unavailable(f"the store does not answer within {self._timeout_secs:g} s{why}", remedy)


def _with_revision(answer: Answer, revision: int) -> Answer:
    return replace(answer, revision=revision) if isinstance(answer, Granted) else answer


@dataclass(frozen=True, slots=True)
class _Denial:
    answer: Denied
    boot_secs: float


class DeniedHosts:
    """The last denial of each host, until its request succeeds or it stops asking. In memory only."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._denials: dict[str, _Denial] = {}

    def record(self, host_id: str, answer: Answer) -> None:
        """Note the latest answer to a host."""
        self._denials.pop(host_id, None)  # keeps the dict in the order of the last answers
        if isinstance(answer, Denied):
            self._denials[host_id] = _Denial(answer, self._clock.now().boot_secs)
            if len(self._denials) > MAX_DENIED_HOSTS:
                del self._denials[next(iter(self._denials))]

    def denials(self, holders: Container[str]) -> Mapping[str, Denied]:
        """The denials in force, the oldest first. A host among ``holders`` got its slot from another coordinator."""
        since = self._clock.now().boot_secs - FORGET_DENIAL_SECS
        self._denials = {host: denial for host, denial in self._denials.items() if denial.boot_secs >= since}
        return {host: denial.answer for host, denial in self._denials.items() if host not in holders}
