"""Run the coordinator: read the settings, open the store, open the listeners, and serve until a signal.

Start reading here: :mod:`.service` answers for the locks, :mod:`.web.listeners` says what is served where, and
:mod:`.web.server` runs uvicorn.
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
from tidegate.coordinator.group_store import StoredGroups
from tidegate.coordinator.service import LockService
from tidegate.coordinator.settings import CoordinatorSettings, Etcd
from tidegate.coordinator.store.options import StoreOptions, open_store
from tidegate.coordinator.web import logs
from tidegate.coordinator.web.listeners import Listeners
from tidegate.coordinator.web.server import Servers

RESERVED_FILES = 256
"""File descriptors beside those of connections: the store, the log, Python's own."""

_log = logging.getLogger(__name__)

__all__ = ["Overrides", "run"]


class Notifier(Protocol):
    """The service's state for systemd: see sd_notify(3)."""

    def ready(self) -> None: ...
    def reloading(self, monotonic_usec: int) -> None: ...
    def stopping(self) -> None: ...


def run(roots: Sequence[Path], overrides: Overrides, clock: Clock, notifier: Notifier) -> None:
    """Serve until SIGTERM or SIGINT. ``roots`` are the configuration folders; empty means the default ones.

    Raises:
        TidegateError: the configuration is bad, the store cannot be used, or an address is in use.
    """
    logs.log_to_stderr()
    configuration = Configuration(roots, overrides)
    _raise_file_limit(configuration.settings.coordinator.max_connections)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(configuration, clock, notifier))


@asynccontextmanager
async def open_locks(settings: CoordinatorSettings, clock: Clock) -> AsyncGenerator[LockService, None]:
    """Open the store and a lock service on it that writes every grant and release to the audit log.

    Raises:
        TidegateError: the store cannot be used as it is configured.
    """
    own = settings.coordinator
    store = await open_store(own.store, _store_options(own.etcd))
    try:
        rules = rules_of(settings)
        async with LockService(
            StoredGroups(store), clock, rules, own.default_group, on_event=logs.record_event
        ) as locks:
            yield locks
    finally:
        await store.aclose()


async def _serve(configuration: Configuration, clock: Clock, notifier: Notifier) -> None:
    own = configuration.settings.coordinator
    async with open_locks(configuration.settings, clock) as locks:
        listeners = Listeners(own, locks, clock)
        servers = Servers(listeners.listeners, own.max_connections)

        def reload() -> None:
            if configuration.reload():
                locks.configure(rules_of(configuration.settings), configuration.settings.coordinator.default_group)
                listeners.reload(configuration.settings.coordinator)

        _handle_signals(servers, notifier, reload)
        for description in listeners.descriptions:
            _log.info("%s", description)
        notifier.ready()  # the sockets are open: a connection from now on waits in the backlog and is served
        try:
            await servers.run()
        finally:
            listeners.close()
        _log.info("stopped")


def _handle_signals(servers: Servers, notifier: Notifier, reload: Callable[[], None]) -> None:
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


def _raise_file_limit(max_connections: int) -> None:
    """Allow as many file descriptors as the connections may need: the usual soft limit is 1,024, for select(2)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max_connections + RESERVED_FILES
    if soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, allowed), hard))
        if allowed < wanted:
            _log.warning("only %d files may be open: raise LimitNOFILE= for %d connections", allowed, max_connections)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's event loop where it is installed (extra ``coordinator-fast``), else None: asyncio's."""
    try:
        import uvloop  # noqa: PLC0415 - optional
    except ImportError:
        return None
    return uvloop.new_event_loop


def _store_options(etcd: Etcd) -> StoreOptions:
    return StoreOptions(etcd.ca_file, etcd.certificate, etcd.certificate_key, etcd.user, etcd.password_file)
