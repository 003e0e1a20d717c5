"""A coordinator on real sockets, in a thread of this process: its listeners and HTTP server, over any locks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field

from tidegate.clock import SystemClock
from tidegate.coordinator.addresses import Address
from tidegate.coordinator.service import Locks
from tidegate.coordinator.settings import Coordinator
from tidegate.coordinator.web.listeners import Listeners
from tidegate.coordinator.web.server import Servers
from tidegate.coordinator.web.sockets import bound_address

START_SECS = 10.0
STOP_SECS = 20.0

OpenLocks = Callable[[], AbstractAsyncContextManager[Locks]]


@dataclass
class Running:
    """Where it is, and its parts, for tests that turn on them from its own loop (:meth:`do`)."""

    addresses: list[Address] = field(default_factory=list[Address])
    listeners: Listeners | None = None
    servers: Servers | None = None
    loop: asyncio.AbstractEventLoop | None = None

    def url(self, listener: int = 0, scheme: str = "http") -> str:
        """The URL of a listener, in the order in which they are opened."""
        return f"{scheme}://{self.addresses[listener]}"

    def do(self, action: Callable[[], None]) -> None:
        """Do it there, and wait until it is done."""
        assert self.loop is not None
        done = threading.Event()

        def act() -> None:
            action()
            done.set()

        self.loop.call_soon_threadsafe(act)
        assert done.wait(START_SECS)


@contextmanager
def running(own: Coordinator, open_locks: OpenLocks) -> Generator[Running, None, None]:
    """Serve for as long as the block runs."""
    place, ready, failures = Running(), threading.Event(), list[BaseException]()

    async def serve() -> None:
        async with open_locks() as locks:
            place.loop = asyncio.get_running_loop()
            place.listeners = Listeners(own, locks, SystemClock())
            place.servers = Servers(place.listeners.listeners, own.max_connections)
            place.addresses += [
                bound_address(one.socket) for one in place.listeners.listeners if one.socket.family.name != "AF_UNIX"
            ]
            ready.set()
            await place.servers.run()

    def main() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:  # noqa: BLE001 - told in the other thread
            failures.append(error)
            ready.set()

    thread = threading.Thread(target=main, daemon=True)
    thread.start()
    assert ready.wait(START_SECS)
    if failures:
        raise failures[0]
    try:
        yield place
    finally:
        if thread.is_alive() and place.loop is not None and place.servers is not None:
            place.loop.call_soon_threadsafe(place.servers.stop)
        thread.join(STOP_SECS)
        assert not thread.is_alive(), "the server does not stop"
    if failures:
        raise failures[0]
