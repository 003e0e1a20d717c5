"""Account and pace of what a server sends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.e2e.lab.waiting import pause

PIECE_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """One request that was answered; ``sent_bytes`` is how much of the body."""

    method: str
    path: str
    status: int
    sent_bytes: int


@dataclass(slots=True)
class Traffic:
    """All requests since the start or the last reset."""

    requests: list[Request] = field(default_factory=list[Request])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, request: Request) -> None:
        """Write one more into the account."""
        with self._lock:
            self.requests.append(request)

    def reset(self) -> None:
        """Begin a new account."""
        with self._lock:
            self.requests.clear()

    def to(self, path: str = "") -> list[Request]:
        """The requests whose path contains ``path``."""
        with self._lock:
            return [r for r in self.requests if path in r.path]

    def sent_bytes(self, path: str = "") -> int:
        """How much was sent for them."""
        return sum(r.sent_bytes for r in self.to(path))


@dataclass(slots=True)
class Throttle:
    """How fast a connection sends; None for as fast as it goes."""

    bytes_per_sec: int | None = None

    def pieces(self, body: bytes) -> Iterator[bytes]:
        """``body`` piece by piece, each when it is due."""
        for start in range(0, len(body), PIECE_BYTES):
            piece = body[start : start + PIECE_BYTES]
            if self.bytes_per_sec is not None:
                pause(len(piece) / self.bytes_per_sec)
            yield piece
