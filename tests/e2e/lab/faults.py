"""Ways in which a server fails. Each hits requests whose path contains ``path``, ``times`` of them."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from http import HTTPStatus

HANG_LIMIT_SECS = 600.0  # longer than any test; a forgotten hang ends all the same

ALWAYS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Answers with an error status."""

    times: int = ALWAYS
    path: str = ""
    status: int = HTTPStatus.SERVICE_UNAVAILABLE


@dataclass(frozen=True, slots=True)
class Cut:
    """Promises the whole body, sends ``after_bytes`` of it and hangs up."""

    after_bytes: int
    times: int = ALWAYS
    path: str = ""

    def spoil(self, body: bytes) -> bytes:
        """What is sent."""
        return body[: self.after_bytes]


@dataclass(frozen=True, slots=True)
class Garble:
    """Sends a body of the right length with its last byte flipped."""

    times: int = ALWAYS
    path: str = ""

    def spoil(self, body: bytes) -> bytes:
        """What is sent."""
        return body[:-1] + bytes(byte ^ 0xFF for byte in body[-1:])


@dataclass(frozen=True, slots=True)
class Hang:
    """Takes the request and says nothing until the plan is cleared or the server is stopped."""

    times: int = ALWAYS
    path: str = ""


Fault = Unavailable | Cut | Garble | Hang


class FaultPlan:
    """The faults that are still to come, in the order in which they were planned."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._cleared = threading.Event()

    def add(self, fault: Fault) -> None:
        """Plan one more."""
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """Everything works again; requests that hang are dropped."""
        with self._lock:
            self._faults.clear()
            self._cleared.set()
            self._cleared = threading.Event()

    def take(self, path: str) -> Fault | None:
        """The fault that hits a request for ``path``, used up by one."""
        with self._lock:
            for index, fault in enumerate(self._faults):
                if fault.path in path:
                    left = replace(fault, times=fault.times - 1)
                    self._faults[index : index + 1] = [left] if left.times > 0 else []
                    return fault
        return None

    def wait_until_cleared(self) -> None:
        """Sleep until :meth:`clear`."""
        with self._lock:
            cleared = self._cleared
        cleared.wait(HANG_LIMIT_SECS)
