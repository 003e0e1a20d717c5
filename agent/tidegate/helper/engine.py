"""Serve ``org.tidegate.Engine1``: check callers and arguments, then run the engine's verbs.

``Status``, ``Latest``, ``Stage`` and ``Rollback`` serve an agent of the first version, which runs on for a moment while
a package is upgraded.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial

from tidegate.bus.bus import Bus, Exported
from tidegate.bus.caller_disconnect import while_connected
from tidegate.bus.errors import ACCESS_DENIED, ErrorReply
from tidegate.bus.interface import Caller, Handler, Interface, Method, Property, Signal
from tidegate.engines import wire
from tidegate.engines.base import Deployment, Engine, Progress
from tidegate.engines.wire import ENGINE
from tidegate.errors import ErrorKind, TidegateError
from tidegate.helper.arguments import checked_payload, checked_release, checked_version
from tidegate.helper.idle import Idle
from tidegate.helper.jobs import Jobs
from tidegate.release import Release

PROGRESS_SECS = 0.5
"""The shortest interval between signals, each of which wakes the agent; engines report more often."""

_log = logging.getLogger(__name__)


class ServedEngine:
    """Serves ``engine``, which may still be being chosen when the first calls arrive, to ``admitted_uids`` only."""

    def __init__(self, bus: Bus, engine: asyncio.Future[Engine], admitted_uids: frozenset[int], idle: Idle) -> None:
        self._bus = bus
        self._engine = engine
        self._admitted_uids = admitted_uids
        self._idle = idle
        progress = _ProgressSignals(bus.export(ENGINE.path, self._interface()))
        self._jobs = Jobs(idle, progress.report)

    async def close(self) -> None:
        """Stop a staging and start no other; short verbs that are running are completed."""
        await self._jobs.close()

    def _interface(self) -> Interface:
        return Interface(
            ENGINE.interface,
            methods=(
                Method("Describe", self._describe, returns=wire.DOCUMENT),
                Method("DescribeLatest", self._describe_latest, returns=wire.DOCUMENT),
                Method("StageRelease", self._stage_release, takes=wire.DOCUMENT),
                Method("CancelStage", self._cancel_stage),
                Method("Arm", self._verb("arm", lambda engine: engine.arm), takes=wire.PAYLOAD),
                Method("Disarm", self._verb("disarm", lambda engine: engine.disarm), takes=wire.PAYLOAD),
                Method("Discard", self._verb("discard", lambda engine: engine.discard), takes=wire.PAYLOAD),
                Method("MarkGood", self._verb("mark-good", lambda engine: engine.mark_good), takes=wire.PAYLOAD),
                Method("PruneRollback", self._prune_rollback),
                Method("RollbackTo", self._verb("rollback", lambda engine: engine.rollback), takes=wire.PAYLOAD),
                Method("Status", self._status, returns=wire.STATUS),
                Method("Latest", self._latest, returns=wire.LATEST),
                Method("Stage", self._stage, takes=wire.DEPLOYMENT),
                Method("Rollback", self._rollback, returns=wire.DEPLOYMENT),
            ),
            properties=(
                Property("Name", "s", lambda: self._engine.result().name),
                Property("RebootOwner", "s", lambda: self._engine.result().traits.reboots.value),
                Property("Busy", "s", lambda: self._jobs.under_way),
            ),
            signals=(Signal("Progress", wire.PROGRESS),),
            admit=self._admit,
        )

    async def _admit(self, caller: Caller) -> None:
        """Refuse other users; wait for the engine on behalf of properties, whose readers cannot wait."""
        if caller.uid not in self._admitted_uids:
            _log.warning("refused a call from uid %d (pid %s)", caller.uid, caller.pid)
            raise ErrorReply(ACCESS_DENIED, "the engine is for root and the agent only")
        with self._idle.busy():
            await asyncio.wait([self._engine])

    async def _describe(self, _caller: Caller) -> tuple[object, ...]:
        with self._idle.busy():
            return (wire.status_to_document(await self._engine.result().status()),)

    async def _describe_latest(self, _caller: Caller) -> tuple[object, ...]:
        with self._idle.busy():
            return (wire.latest_to_document(await self._engine.result().latest()),)

    async def _stage_release(self, caller: Caller, document: object) -> tuple[object, ...]:
        return await self._run_staging(caller, checked_release(self._engine.result().name, document))

    async def _run_staging(self, caller: Caller, release: Release) -> tuple[object, ...]:
        async with while_connected(self._bus, caller):
            await self._jobs.stage(self._engine.result(), release)
        return ()

    async def _cancel_stage(self, _caller: Caller) -> tuple[object, ...]:
        await self._jobs.cancel_stage()
        return ()

    async def _prune_rollback(self, _caller: Caller) -> tuple[object, ...]:
        await self._jobs.run("prune-rollback", self._engine.result().prune_rollback)
        return ()

    async def _status(self, _caller: Caller) -> tuple[object, ...]:
        with self._idle.busy():
            return wire.status_to_wire(await self._engine.result().status())

    async def _latest(self, _caller: Caller) -> tuple[object, ...]:
        with self._idle.busy():
            return wire.latest_to_wire(await self._engine.result().latest())

    async def _stage(self, caller: Caller, version: str, payload: str) -> tuple[object, ...]:
        release = Release(checked_version(version), checked_payload(self._engine.result().name, payload))
        return await self._run_staging(caller, release)

    async def _rollback(self, _caller: Caller) -> tuple[object, ...]:
        return wire.deployment_to_wire(await self._jobs.run("rollback", partial(_rollback, self._engine.result())))

    def _verb(self, name: str, of: Callable[[Engine], Callable[[str], Awaitable[None]]]) -> Handler:
        """Return the handler of a verb that takes a payload."""

        async def handle(_caller: Caller, payload: str) -> tuple[object, ...]:
            engine = self._engine.result()
            await self._jobs.run(name, partial(of(engine), checked_payload(engine.name, payload)))
            return ()

        return handle


async def _rollback(engine: Engine) -> Deployment:
    """Roll back to the one release that is available for it, and return that."""
    target = (await engine.status()).rollback
    if target is None:
        raise TidegateError(
            ErrorKind.ENGINE_NO_ROLLBACK,
            "there is no earlier release on this host than the booted one",
            "stage an older release instead",
        )
    await engine.rollback(target.payload)
    return target


class _ProgressSignals:
    """Emits the ``Progress`` signal, rate-limited: of the reports within an interval, only the newest."""

    def __init__(self, exported: Exported) -> None:
        self._exported = exported
        self._pending: tuple[object, ...] | None = None
        self._pausing = False

    def report(self, payload: str, progress: Progress) -> None:
        """Emit at once, or at the end of the interval since the last signal."""
        self._pending = wire.progress_to_wire(payload, progress)
        if not self._pausing:
            self._emit()

    def _emit(self) -> None:
        self._pausing = self._pending is not None
        if self._pending is None:
            return
        self._exported.emit("Progress", *self._pending)
        self._pending = None
        asyncio.get_running_loop().call_later(PROGRESS_SECS, self._emit)
