"""The engine on the other side of the bus: the root helper, as the agent sees it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from tidegate.bus import errors
from tidegate.bus.bus import Bus
from tidegate.bus.errors import CallFailed
from tidegate.bus.message import Emission, Match
from tidegate.engines import wire
from tidegate.engines.base import Deployment, EngineStatus, Latest, ProgressSink, RebootOwner
from tidegate.engines.wire import ENGINE
from tidegate.errors import ErrorKind, TidegateError
from tidegate.release import Release

STATUS_SECS = 60.0
"""Starting the helper, finding out whose host it is, reading boot entries from a busy disk."""
VERB_SECS = 110.0
"""Writing boot entries and syncing the disks; deleting a deployment of 100 000 files on a slow one."""
STAGE_SECS = 12 * 60 * 60.0
"""An image over a slow line. A helper that dies is noticed at once, and it has shorter limits of its own."""

_HELPER_REMEDY = "systemctl status tidegate-engine.service; journalctl -u tidegate-engine.service"


class RemoteEngine:
    """Implements :class:`~tidegate.engines.base.Engine` over ``org.tidegate.Engine1``.

    Errors of the engine arrive as they were raised there. ``engine.unreachable``: there is no helper, or it died over
    the call; ``engine.timeout``: it did not answer in time, and what it does is not known.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._name = "unknown"
        self._reboot_owner = RebootOwner.AGENT

    @property
    def name(self) -> str:
        """The engine's name; ``unknown`` before the first status."""
        return self._name

    @property
    def reboot_owner(self) -> RebootOwner:
        """Who reboots; the agent before the first status, which is asked before anything is staged."""
        return self._reboot_owner

    async def status(self) -> EngineStatus:
        """What is booted, staged and bootable now."""
        values = await self._call("Status", returns=wire.signature_of(wire.STATUS), timeout_secs=STATUS_SECS)
        try:
            status, self._reboot_owner = wire.status_from_wire(values)
        except ValueError as err:
            raise _unreachable(f"the engine helper is of another version: {err}") from err
        self._name = status.engine
        return status

    async def latest(self) -> Latest:
        """Ask the source that the booted release follows for its newest release; its own deadline comes before ours."""
        return wire.latest_from_wire(await self._call("Latest", returns=wire.signature_of(wire.LATEST)))

    async def stage(self, release: Release, progress: ProgressSink) -> None:
        """Download and prepare ``release``. Who is cancelled leaves the helper to it, and may ask again to join."""
        async with self._following(release.payload, progress):
            await self._call("Stage", release.version, release.payload, timeout_secs=STAGE_SECS)

    async def cancel_stage(self) -> None:
        """Stop whatever is being staged; who waits for it gets ``engine.cancelled``."""
        await self._call("CancelStage")

    async def arm(self, payload: str) -> None:
        """Let the next boot lead to the staged release ``payload``."""
        await self._call("Arm", payload)

    async def disarm(self, payload: str) -> None:
        """Take arming back."""
        await self._call("Disarm", payload)

    async def discard(self, payload: str) -> None:
        """Drop the staged release ``payload``."""
        await self._call("Discard", payload)

    async def prune_rollback(self) -> None:
        """Delete releases that are neither booted nor staged."""
        await self._call("PruneRollback")

    async def rollback(self) -> Deployment:
        """Let the next boot lead to the release that was booted before; returns it."""
        return wire.deployment_from_wire(await self._call("Rollback", returns=wire.signature_of(wire.DEPLOYMENT)))

    async def mark_good(self, payload: str) -> None:
        """Confirm the booted release ``payload`` to the boot loader."""
        await self._call("MarkGood", payload)

    async def _call(
        self, member: str, *texts: str, returns: str = "", timeout_secs: float = VERB_SECS
    ) -> tuple[object, ...]:
        with_texts = "s" * len(texts)
        try:
            return await self._bus.call(ENGINE, member, with_texts, *texts, returns=returns, timeout_secs=timeout_secs)
        except TidegateError as err:
            raise _explained(err) from err

    @asynccontextmanager
    async def _following(self, payload: str, progress: ProgressSink) -> AsyncGenerator[None]:
        """Pass the helper's signals about ``payload`` on while the context lasts."""

        def heard(emission: Emission) -> None:
            about, how_far = wire.progress_from_wire(emission.args)
            if about == payload:
                progress(how_far)

        try:
            stop = await self._bus.subscribe(Match(ENGINE, "Progress", wire.signature_of(wire.PROGRESS)), heard)
        except TidegateError as err:
            raise _explained(err) from err
        try:
            yield
        finally:
            stop()


def _explained(error: TidegateError) -> TidegateError:
    """The error of a call in the engine's terms; what the engine raised itself is left as it is."""
    match error:
        case CallFailed(error_name=name) if name in errors.ABSENT:
            return _unreachable(f"the engine helper is not there: {error.text or name}")
        case CallFailed(error_name=errors.ACCESS_DENIED):
            return TidegateError(
                ErrorKind.ENGINE_UNREACHABLE,
                f"the engine helper may not be called by this user: {error.text}",
                "tidegate install puts the bus policy in place; the agent runs as user tidegate",
            )
        case CallFailed(error_name=errors.INVALID_SIGNATURE | errors.UNKNOWN_METHOD | errors.INVALID_ARGS):
            return _unreachable(f"the engine helper is of another version: {error.message}")
        case CallFailed():
            return TidegateError(ErrorKind.ENGINE_FAILED, error.message, _HELPER_REMEDY)
        case TidegateError(kind=ErrorKind.BUS_TIMEOUT):
            return TidegateError(ErrorKind.ENGINE_TIMEOUT, error.message, _HELPER_REMEDY)
        case TidegateError(kind=ErrorKind.BUS_UNREACHABLE):
            return TidegateError(ErrorKind.ENGINE_UNREACHABLE, error.message, "check that dbus is running")
        case _:
            return error


def _unreachable(message: str) -> TidegateError:
    return TidegateError(ErrorKind.ENGINE_UNREACHABLE, message, _HELPER_REMEDY)
