"""One step at a time: decide, save, then do.

:class:`Keeper` is the rule that everything hangs on: the records of a step are on disk before any effect of it is
handed out, and a step whose records cannot be saved was never taken. :class:`Loop` brings it events in order, runs the
tasks beside it and wakes it at its deadlines.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from typing import Protocol, assert_never

from tidegate.clock import Clock, Now
from tidegate.errors import Failure, TidegateError
from tidegate.machine.effects import Announce, Effect, Reply, Task
from tidegate.machine.events import ClockSet, Event, RecordsUnwritable, Tick
from tidegate.machine.state import Policy, State
from tidegate.machine.step import begin, next_wakeup, step
from tidegate.records.model import Records
from tidegate.records.store import Store
from tidegate.runner import Report
from tidegate.system.alarm import Alarm, WakeAt
from tidegate.system.boot import BootInstance

_log = logging.getLogger(__name__)


class Keeper:
    """The state, and the only way to change it.

    A save that failed may have written all the same (the folder could not be synced), and the step that follows it may
    end what the disk still has: what is on disk is not known then, and the records that hold are written again with the
    next step, whatever that changes.
    """

    def __init__(self, clock: Clock, store: Store, boot: BootInstance, policy: Policy, records: Records) -> None:
        """Take the first step, from ``records`` as ``store`` has them; ``first_effects`` are what it wants done."""
        self._clock = clock
        self._store = store
        self._on_disk: Records | None = records
        self.state, self.first_effects = begin(boot, policy, records, clock.now())

    def feed(self, event: Event) -> tuple[Effect, ...]:
        """Take a step; what it wants done may be done when this returns."""
        now = self._clock.now()
        state, effects = step(self.state, event, now)
        if state.records != self._on_disk:
            try:
                self._store.save(state.records)
                self._on_disk = state.records
            except TidegateError as err:
                self._on_disk = None
                state, effects = step(self.state, RecordsUnwritable(err.failure, event), now)
        self.state = state
        return effects


class Tasks(Protocol):
    """Runs tasks: see :class:`tidegate.runner.Runner`."""

    async def run(self, task: Task, report: Report) -> None:
        """Carry out ``task`` and report exactly one answer."""
        ...


Observer = Callable[[State, Now], None]

OnAnnounce = Callable[[Announce, State], None]
"""Called with each announcement and the state that follows it."""


def to_log(said: Announce, _state: State) -> None:
    """Write what was decided to the log: the default."""
    _log.log(_PYTHON_LEVELS[said.level], "%s", said.text)


class Loop:
    """Feeds the keeper until it is cancelled.

    ``observe`` is called with every state, then ``on_announce`` with its announcements.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - everything that a step touches, each once
        self,
        clock: Clock,
        alarm: Alarm,
        keeper: Keeper,
        tasks: Tasks,
        observe: Observer,
        on_announce: OnAnnounce = to_log,
    ) -> None:
        self._clock = clock
        self._alarm = alarm
        self._keeper = keeper
        self._tasks = tasks
        self._observe = observe
        self._on_announce = on_announce
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._running: set[asyncio.Task[None]] = set()
        self._request_ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[str]] = {}

    @property
    def state(self) -> State:
        """The state that was reached last."""
        return self._keeper.state

    def post(self, event: Event) -> None:
        """Bring an event from outside."""
        self._events.put_nowait(event)

    async def ask(self, request: Callable[[int], Event]) -> str:
        """Bring a person's request and wait for the answer.

        Raises:
            TidegateError: what the machine answered instead.
        """
        number = next(self._request_ids)
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        self.post(request(number))
        try:
            return await answer
        finally:
            del self._waiting[number]

    async def run(self) -> None:
        """Run until cancelled; tasks under way are cancelled then."""
        try:
            with self._alarm.listen(lambda: self.post(Tick()), lambda: self.post(ClockSet())) as wake_at:
                await self._run(wake_at)
        finally:
            for running in self._running:
                running.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    async def _run(self, wake_at: WakeAt) -> None:
        self._carry_out(self._keeper.first_effects)
        while True:
            wake_at(next_wakeup(self._keeper.state))
            self._carry_out(self._keeper.feed(await self._events.get()))

    def _carry_out(self, effects: tuple[Effect, ...]) -> None:
        self._observe(self._keeper.state, self._clock.now())
        for effect in effects:
            match effect:
                case Announce() as said:
                    self._on_announce(said, self._keeper.state)
                case Reply(request_id, answer):
                    self._answer(request_id, answer)
                case task:
                    self._start(task)

    def _start(self, task: Task) -> None:
        running = asyncio.create_task(self._tasks.run(task, self.post), name=type(task).__name__)
        self._running.add(running)
        running.add_done_callback(self._running.discard)

    def _answer(self, request_id: int, answer: str | Failure) -> None:
        waiting = self._waiting.get(request_id)
        if waiting is None or waiting.done():
            return
        match answer:
            case str():
                waiting.set_result(answer)
            case Failure():
                waiting.set_exception(answer.error())
            case _:
                assert_never(answer)


_PYTHON_LEVELS = {3: logging.ERROR, 4: logging.WARNING, 5: logging.INFO}
