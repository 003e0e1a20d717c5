"""The agent's engine: a proxy for the root helper on the bus.

A helper of the first version, which runs on for a moment while a package is upgraded, has neither ``Describe`` nor
``DescribeLatest``, ``StageRelease`` and ``RollbackTo``. It answers ``UnknownMethod`` to them, and is then asked in its
own terms. Which it is can change from one call to the next, so it is not remembered.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager

from tidegate.bus import errors
from tidegate.bus.bus import Bus
from tidegate.bus.errors import CallFailed
from tidegate.bus.message import Emission, Match
from tidegate.engines import wire
from tidegate.engines.base import DEFAULT_TRAITS, Deployment, EngineStatus, EngineTraits, Latest, ProgressSink
from tidegate.engines.wire import DOCUMENT, ENGINE
from tidegate.errors import ErrorKind, TidegateError
from tidegate.release import Release

STATUS_SECS = 60.0
"""Starting the helper, choosing the engine, reading boot entries from a busy disk."""
VERB_SECS = 110.0
"""Writing boot entries and syncing the disks; deleting a deployment of 100 000 files on a slow one."""
PRUNE_SECS = 55 * 60.0
"""Deleting a release is as slow as the disk."""
STAGE_SECS = 12 * 60 * 60.0
"""An image over a slow line. A helper that dies is noticed at once, and it has shorter limits of its own."""

_HELPER_REMEDY = "systemctl status tidegate-engine.service; journalctl -u tidegate-engine.service"
_OTHER_VERSION = "the engine helper is of another version: "


class RemoteEngine:
    """Implements :class:`~tidegate.engines.base.Engine` over ``org.tidegate.Engine1``.

    Errors of the engine arrive as they were raised there. ``engine.unreachable``: there is no helper, or it died during
    the call; ``engine.timeout``: it did not answer in time, and whether it has done its work is not known.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._name = "unknown"
        self._traits = DEFAULT_TRAITS

    @property
    def name(self) -> str:
        """The engine's name; ``unknown`` before the first status."""
        return self._name

    @property
    def traits(self) -> EngineTraits:
        """The engine's traits; the defaults before the first status, which is read before anything is staged."""
        return self._traits

    async def status(self) -> EngineStatus:
        """Return what is booted, staged and bootable now."""
        with _of_this_version():
            status = await self._describe()
        self._name, self._traits = status.engine, status.traits
        return status

    async def latest(self) -> Latest:
        """Ask the source that the booted release follows for its newest release.

        The helper's own deadline for that is shorter than the one of this call.
        """
        with _of_this_version():
            try:
                (document,) = await self._ask("DescribeLatest", returns=DOCUMENT)
            except _UnknownMethodError:
                return wire.latest_from_wire(await self._ask("Latest", returns=wire.LATEST))
            return wire.latest_from_document(document)

    async def stage(self, release: Release, progress: ProgressSink) -> None:
        """Download and prepare ``release``. Cancelled, it leaves the helper at work; asked again, it joins that."""
        async with self._progress_of(release.payload, progress):
            try:
                await self._call(
                    "StageRelease",
                    wire.release_to_document(release),
                    takes=wire.signature_of(DOCUMENT),
                    timeout_secs=STAGE_SECS,
                )
            except _UnknownMethodError:
                await self._order("Stage", release.version, release.payload, timeout_secs=STAGE_SECS)

    async def cancel_stage(self) -> None:
        """Stop any staging; those who wait for it get ``engine.cancelled``."""
        await self._order("CancelStage")

    async def arm(self, payload: str) -> None:
        """Let the next boot lead to the staged release ``payload``."""
        await self._order("Arm", payload, timeout_secs=self._traits.arm_timeout_secs)

    async def disarm(self, payload: str) -> None:
        """Take arming back."""
        await self._order("Disarm", payload)

    async def discard(self, payload: str) -> None:
        """Drop the staged release ``payload``."""
        await self._order("Discard", payload)

    async def prune_rollback(self) -> None:
        """Delete releases that are neither booted nor staged."""
        await self._order("PruneRollback", timeout_secs=PRUNE_SECS)

    async def rollback(self, payload: str) -> None:
        """Let the next boot lead to ``payload``, the release that the status has as ``rollback``."""
        try:
            await self._order("RollbackTo", payload, timeout_secs=self._traits.arm_timeout_secs)
        except _UnknownMethodError:
            await self._rollback_of_first_version(payload)

    async def mark_good(self, payload: str) -> None:
        """Confirm the booted release ``payload`` to the boot loader."""
        await self._order("MarkGood", payload)

    async def _describe(self) -> EngineStatus:
        try:
            (document,) = await self._ask("Describe", returns=DOCUMENT, timeout_secs=STATUS_SECS)
        except _UnknownMethodError:
            return wire.status_from_wire(await self._ask("Status", returns=wire.STATUS, timeout_secs=STATUS_SECS))
        return wire.status_from_document(document)

    async def _rollback_of_first_version(self, payload: str) -> None:
        """``Rollback`` takes no target: check it before, and take the rollback back where it went elsewhere."""
        expected = (await self.status()).rollback
        if expected is None or expected.payload != payload:
            raise _other_rollback(payload, expected)
        actual = wire.deployment_from_wire(await self._ask("Rollback", returns=wire.DEPLOYMENT))
        if actual.payload != payload:
            await self.disarm(actual.payload)
            raise _other_rollback(payload, actual)

    async def _ask(
        self, member: str, *, returns: Mapping[str, str], timeout_secs: float = VERB_SECS
    ) -> tuple[object, ...]:
        return await self._call(member, returns=wire.signature_of(returns), timeout_secs=timeout_secs)

    async def _order(self, member: str, *texts: str, timeout_secs: float = VERB_SECS) -> None:
        await self._call(member, *texts, takes="s" * len(texts), timeout_secs=timeout_secs)

    async def _call(
        self, member: str, *values: object, takes: str = "", returns: str = "", timeout_secs: float = VERB_SECS
    ) -> tuple[object, ...]:
        try:
            return await self._bus.call(ENGINE, member, takes, *values, returns=returns, timeout_secs=timeout_secs)
        except TidegateError as err:
            raise _engine_error(err) from err

    @asynccontextmanager
    async def _progress_of(self, payload: str, progress: ProgressSink) -> AsyncGenerator[None]:
        """Pass the helper's signals about ``payload`` on while the context lasts."""

        def on_signal(emission: Emission) -> None:
            staged, news = wire.progress_from_wire(emission.args)
            if staged == payload:
                progress(news)

        try:
            stop = await self._bus.subscribe(Match(ENGINE, "Progress", wire.signature_of(wire.PROGRESS)), on_signal)
        except TidegateError as err:
            raise _engine_error(err) from err
        try:
            yield
        finally:
            stop()


class _UnknownMethodError(TidegateError):
    """The helper is of another version and does not have the method."""


@contextmanager
def _of_this_version() -> Generator[None]:
    """Turn a document that cannot be read into ``engine.unreachable``."""
    try:
        yield
    except ValueError as err:
        raise _unreachable(f"{_OTHER_VERSION}{err}") from err


def _engine_error(error: TidegateError) -> TidegateError:
    """Return the error of a call as one of the engine; those that the engine itself raised are unchanged."""
    match error:
        case CallFailed(error_name=name) if name in errors.ABSENT:
            return _unreachable(f"the engine helper is not there: {error.text or name}")
        case CallFailed(error_name=errors.ACCESS_DENIED):
            return TidegateError(
                ErrorKind.ENGINE_UNREACHABLE,
                f"the engine helper may not be called by this user: {error.text}",
                "tidegate install puts the bus policy in place; the agent runs as user tidegate",
            )
        case CallFailed(error_name=errors.UNKNOWN_METHOD):
            return _UnknownMethodError(ErrorKind.ENGINE_UNREACHABLE, _OTHER_VERSION + error.message, _HELPER_REMEDY)
        case CallFailed(error_name=errors.INVALID_SIGNATURE | errors.INVALID_ARGS):
            return _unreachable(_OTHER_VERSION + error.message)
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


def _other_rollback(payload: str, actual: Deployment | None) -> TidegateError:
    there = "has no earlier release" if actual is None else f"would roll back to {actual.version} ({actual.payload})"
    return TidegateError(
        ErrorKind.ENGINE_NO_ROLLBACK,
        f"{payload} is not available as rollback: the host {there}",
        "see what is there: tidegate status; or stage an older release",
    )
