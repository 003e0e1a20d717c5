"""The process of the root helper: serve the engine and the health checks of this host, and exit when idle.

The bus starts it on demand (``tidegate-engine.service``). It trusts no caller: the uid that the bus daemon vouches for
is checked whatever the bus policy says, and arguments are validated before an engine sees them
(:mod:`~tidegate.helper.engine`, :mod:`~tidegate.helper.checks_service`).
"""

from __future__ import annotations

import asyncio
import logging
import pwd
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tidegate.bus.bus import Bus
from tidegate.engines import registry
from tidegate.engines.base import Engine
from tidegate.engines.detect import engine_for, read_facts
from tidegate.engines.entry import EngineEntry
from tidegate.engines.registry import AUTO
from tidegate.engines.unsupported import UnsupportedEngine
from tidegate.engines.wire import ENGINE
from tidegate.errors import ErrorKind, TidegateError
from tidegate.helper.checks import RootChecks
from tidegate.helper.checks_service import ServedChecks
from tidegate.helper.engine import ServedEngine
from tidegate.helper.idle import Idle
from tidegate.services.systemd import Systemd
from tidegate.settings import DEFAULT_ROOTS, Settings, load
from tidegate.system.boot import BootInstance, read_boot
from tidegate.system.sd_notify import Notifier

AGENT_USER = "tidegate"

IDLE_SECS = 30.0
"""Long enough for one process to serve the steps of an update, short enough to keep no memory in between."""
FINISH_SECS = 120.0
"""How long the exit waits for running verbs; longer than the agent waits for them."""
_log = logging.getLogger(__name__)


async def main() -> None:
    """Serve this host's engine and checks on the system bus until idle or SIGTERM.

    Raises:
        TidegateError: the bus cannot be reached or is lost, or another process owns the helper's name.
    """
    bus = await Bus.connect()
    try:
        await serve(bus, choose_engine, Terms(admitted_uids=_agent_and_root()))
    finally:
        await bus.close()


@dataclass(frozen=True, slots=True)
class Terms:
    """Whose calls are served, after what idle time the process exits, and how systemd is notified."""

    admitted_uids: frozenset[int]
    idle_secs: float = IDLE_SECS
    notifier: Notifier = field(default_factory=Notifier)


async def serve(bus: Bus, choose: Callable[[], Awaitable[Engine]], terms: Terms) -> None:
    """Serve the engine that ``choose`` returns, and the host's checks, until idle or SIGTERM.

    The name is requested before the engine is chosen: choosing may run other programs, and the bus daemon fails the
    calls to a service that takes long to appear.

    Raises:
        TidegateError: another process owns the name, or the bus is lost.
    """
    idle, chosen = Idle(terms.idle_secs), asyncio.ensure_future(choose())
    try:
        served = ServedEngine(bus, chosen, terms.admitted_uids, idle)
        ServedChecks(bus, RootChecks(lambda: _this_boot(bus)), terms.admitted_uids, idle)
        await bus.request_name(ENGINE.destination)
        terms.notifier.ready()
        await _until_over(idle, bus)
        # From here on systemd queues new activations, instead of considering the service as running.
        terms.notifier.stopping()
        await served.close()
        # Calls that were sent to the name before its release have arrived after it, and are answered.
        await bus.release_name(ENGINE.destination)
        await bus.finish_calls(FINISH_SECS)
    finally:
        chosen.cancel()


async def choose_engine() -> Engine:
    """Return the configured engine, or the one that fits this host; where none does, one that raises the reason."""
    try:
        settings = _settings()
        entry = await _entry(settings.engine.kind)
        return entry.open(None if entry.section is None else settings.of(entry.section))
    except TidegateError as err:
        _log.warning("%s", err)
        return UnsupportedEngine(err.failure)


async def _entry(kind: str) -> EngineEntry:
    if kind == AUTO:
        return engine_for(await read_facts())
    entry = registry.find(kind)
    if entry is None:
        raise TidegateError(ErrorKind.ENGINE_UNSUPPORTED_HOST, f"there is no engine {kind}", "set [engine] kind")
    return entry


async def _this_boot(bus: Bus) -> BootInstance:
    return read_boot(await Systemd(bus).soft_reboots_count())


def _settings() -> Settings:
    """The settings, or the defaults under a bad configuration: the agent reports that, and needs a status."""
    loaded = load(DEFAULT_ROOTS)
    for problem in loaded.problems:
        _log.warning("%s", problem)
    return loaded.settings or Settings()


def _agent_and_root() -> frozenset[int]:
    try:
        return frozenset({0, pwd.getpwnam(AGENT_USER).pw_uid})
    except KeyError:
        _log.warning("there is no user %s: only root is served", AGENT_USER)
        return frozenset({0})


async def _until_over(idle: Idle, bus: Bus) -> None:
    """Wait until idle or SIGTERM.

    Raises:
        TidegateError: ``bus.unreachable`` when the bus is lost.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    waits = [asyncio.ensure_future(wait) for wait in (idle.wait(), stop.wait(), bus.closed.wait())]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
    if bus.closed.is_set():
        raise TidegateError(ErrorKind.BUS_UNREACHABLE, "the connection to the bus ended", "check that dbus is running")
