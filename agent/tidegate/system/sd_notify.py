"""Notify systemd of the state of the service: the sd_notify(3) protocol, one datagram a message."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress

WATCHDOG_DIVISOR = 2
"""systemd kills a service that is silent for the whole interval; sd_watchdog_enabled(3) advises half of it."""


class Notifier:
    """Sends to the socket in ``NOTIFY_SOCKET``; does nothing where it is not set (a shell, a test)."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        name = environment.get("NOTIFY_SOCKET", "")
        self._address = f"\0{name[1:]}" if name.startswith("@") else name
        self.watchdog_secs = _watchdog_secs(environment)

    def ready(self) -> None:
        """Report that the service is ready, or that a reload has ended."""
        self._send("READY=1")

    def status(self, status: str) -> None:
        """Set the status text of ``systemctl status``."""
        self._send(f"STATUS={status}")

    def alive(self) -> None:
        """Reset the watchdog."""
        self._send("WATCHDOG=1")

    def reloading(self, monotonic_usec: int) -> None:
        """Report that a reload has begun; :meth:`ready` ends it."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={monotonic_usec}")

    def stopping(self) -> None:
        """Report that the service is about to exit."""
        self._send("STOPPING=1")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        message = "\n".join(line.replace("\n", " ") for line in lines)
        # systemd may be re-executing, or descriptors exhausted: a lost message must not stop the service.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.sendto(message.encode(), self._address)


def _watchdog_secs(environment: Mapping[str, str]) -> float | None:
    """The interval of :meth:`Notifier.alive`; None where the watchdog is not enabled for this process."""
    usec = environment.get("WATCHDOG_USEC", "")
    meant_for = environment.get("WATCHDOG_PID", str(os.getpid()))
    if not usec.isdecimal() or int(usec) == 0 or meant_for != str(os.getpid()):
        return None
    return int(usec) / 1_000_000 / WATCHDOG_DIVISOR
