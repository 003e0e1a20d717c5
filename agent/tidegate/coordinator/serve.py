"""The coordinator as a process: settings -> store and locks (backend) -> what is served where (doors) -> uvicorn.

Nothing is decided here; this is the place to start reading.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from tidegate.clock import Clock, monotonic_usec
from tidegate.coordinator.configuration import Configuration, Overrides, rules_of
from tidegate.coordinator.service import LockService
from tidegate.coordinator.settings import CoordinatorSettings, Etcd
from tidegate.coordinator.store.options import StoreOptions, open_store
from tidegate.coordinator.web import logs
from tidegate.coordinator.web.listeners import Listeners
from tidegate.coordinator.web.logs import log_to_stderr
from tidegate.coordinator.web.server import Servers

RESERVED_FILES = 256
"""Descriptors beside those of connections: the store, the log, Python's own."""

_log = logging.getLogger(__name__)

__all__ = ["Overrides", "run"]


class Notifier(Protocol):
    """How systemd is told."""

    def ready(self) -> None: ...
    def reloading(self, monotonic_usec: int) -> None: ...
    def stopping(self) -> None: ...


def run(roots: Sequence[Path], overrides: Overrides, clock: Clock, notifier: Notifier) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        TidegateError: the configuration is bad, the store cannot be used, or an address is taken.
    """
    log_to_stderr()
    configuration = Configuration(roots, overrides)
    _allow_files(configuration.settings.coordinator.max_connections)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(configuration, clock, notifier))


async def _serve(configuration: Configuration, clock: Clock, notifier: Notifier) -> None:
    own = configuration.settings.coordinator
    async with open_locks(configuration.settings, clock) as locks:
        listeners = Listeners(own, locks, clock)
        servers = Servers(listeners.listeners, own.max_connections)

        def reload() -> None:
            if configuration.reload():
                locks.configure(rules_of(configuration.settings), configuration.settings.coordinator.default_group)
                listeners.reload(configuration.settings.coordinator)

        _on_signals(servers, notifier, reload)
        for place in listeners.places:
            _log.info("%s", place)
        notifier.ready()  # the sockets are open: who comes now is answered in a moment
        try:
            await servers.run()
        finally:
            listeners.close()
        _log.info("stopped")


def _on_signals(servers: Servers, notifier: Notifier, reload: Callable[[], None]) -> None:
    def hang_up() -> None:
        notifier.reloading(monotonic_usec())
        reload()
        notifier.ready()

    def stop() -> None:
        notifier.stopping()
        servers.stop()

    running = asyncio.get_running_loop()
    running.add_signal_handler(signal.SIGTERM, stop)
    running.add_signal_handler(signal.SIGINT, stop)
    running.add_signal_handler(signal.SIGHUP, hang_up)


def _allow_files(max_connections: int) -> None:
    """As many descriptors as connections may need; the usual 1,024 are a leftover of select(2)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max_connections + RESERVED_FILES
    if soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, allowed), hard))
        if allowed < wanted:
            _log.warning("only %d files may be open: raise LimitNOFILE= for %d connections", allowed, max_connections)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's where it is installed (extra ``coordinator-fast``)."""
    try:
        import uvloop  # noqa: PLC0415 - it may not be there
    except ImportError:
        return None
    return uvloop.new_event_loop


@asynccontextmanager
async def open_locks(settings: CoordinatorSettings, clock: Clock) -> AsyncGenerator[LockService, None]:
    """Open the store and serve locks from it; every change of hands goes to the audit log.

    Raises:
        TidegateError: the store cannot be used as it is configured.
    """
    own = settings.coordinator
    store = await open_store(own.store, _options(own.etcd))
    try:
        async with LockService(store, clock, rules_of(settings), own.default_group, on_event=logs.happened) as locks:
            yield locks
    finally:
        await store.aclose()


def _options(etcd: Etcd) -> StoreOptions:
    return StoreOptions(etcd.ca_file, etcd.certificate, etcd.certificate_key, etcd.user, etcd.password_file)
