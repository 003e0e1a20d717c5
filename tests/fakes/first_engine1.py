"""``org.tidegate.Engine1`` as the first version spoke it, both sides; nothing here comes from today's wire module."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidegate.bus.interface import Caller, Interface, Method, Property, Signal
from tidegate.bus.message import Endpoint
from tidegate.release import Release

if TYPE_CHECKING:
    from tests.fakes.engine import FakeEngine
    from tidegate.bus.bus import Bus
    from tidegate.engines.base import Deployment, Progress

FIRST = Endpoint("org.tidegate.Engine1", "/org/tidegate/Engine1", "org.tidegate.Engine1")
STATUS = "ss(ss)a(ssb)a(ss)asasa(ss)"
LATEST = "(ssax)(ssax)as"


class FirstHelper:
    """A helper of the first version; ``rolls_back_to`` is where its ``Rollback`` leads, if not to what it reports."""

    def __init__(self, bus: Bus, engine: FakeEngine) -> None:
        self.rolls_back_to: Deployment | None = None
        self._engine = engine
        self._exported = bus.export(FIRST.path, self._interface())

    def _interface(self) -> Interface:
        payload = {"payload": "s"}
        status = ("s", "s", "(ss)", "a(ssb)", "a(ss)", "as", "as", "a(ss)")
        return Interface(
            FIRST.interface,
            methods=(
                Method("Status", self._status, returns={str(n): one for n, one in enumerate(status)}),
                Method("Latest", self._latest, returns={"booted": "(ssax)", "newest": "(ssax)", "end_of_life": "as"}),
                Method("Stage", self._stage, takes={"version": "s", "payload": "s"}),
                Method("Disarm", self._disarm, takes=payload),
                Method("Rollback", self._rollback, returns={"version": "s", "payload": "s"}),
            ),
            properties=(Property("Name", "s", lambda: self._engine.name),),
            signals=(Signal("Progress", {"payload": "s", "step": "s", "fraction": "d", "transferred_bytes": "t"}),),
        )

    async def _status(self, _caller: Caller) -> tuple[object, ...]:
        status = await self._engine.status()
        staged, back, failure = status.staged, status.rollback, status.finalize_failure
        return (
            status.engine,
            "agent",
            (status.booted.version, status.booted.payload),
            [(staged.version, staged.payload, staged.locked)] if staged else [],
            [(entry.version, entry.payload) for entry in status.entries],
            [failure.message] if failure else [],
            [],
            [(back.version, back.payload)] if back else [],
        )

    async def _latest(self, _caller: Caller) -> tuple[object, ...]:
        latest = await self._engine.latest()
        booted, newest = (
            (one.version, one.payload, [one.age_index] if one.age_index is not None else [])
            for one in (latest.booted, latest.newest)
        )
        return booted, newest, [latest.end_of_life] if latest.end_of_life else []

    async def _stage(self, _caller: Caller, version: str, payload: str) -> tuple[object, ...]:
        def emit(progress: Progress) -> None:
            self._exported.emit("Progress", payload, progress.step, progress.fraction, progress.transferred_bytes)

        await self._engine.stage(Release(version, payload), emit)
        return ()

    async def _disarm(self, _caller: Caller, payload: str) -> tuple[object, ...]:
        await self._engine.disarm(payload)
        return ()

    async def _rollback(self, _caller: Caller) -> tuple[object, ...]:
        back = self.rolls_back_to or (await self._engine.status()).rollback
        assert back is not None
        self._engine.host.entries.sort(key=lambda entry: entry != back)
        return back.version, back.payload


@dataclass(frozen=True, slots=True)
class FirstAgent:
    """An agent of the first version: the calls that it makes, with the signatures that it insists on."""

    bus: Bus

    async def status(self) -> dict[str, Any]:
        names = ("engine", "reboot_owner", "booted", "staged", "entries", "finalize_failure", "stream", "rollback")
        return dict(zip(names, await self.bus.call(FIRST, "Status", returns=STATUS), strict=True))

    async def latest(self) -> tuple[object, ...]:
        return await self.bus.call(FIRST, "Latest", returns=LATEST)

    async def stage(self, version: str, payload: str) -> None:
        await self.bus.call(FIRST, "Stage", "ss", version, payload)

    async def rollback(self) -> tuple[object, ...]:
        return await self.bus.call(FIRST, "Rollback", returns="ss")

    async def verb(self, member: str, payload: str) -> None:
        await self.bus.call(FIRST, member, "s", payload)

    async def prune_rollback(self) -> None:
        await self.bus.call(FIRST, "PruneRollback")
