"""Commands inside of a virtual machine, through QEMU's guest agent: it needs no network and survives no shutdown."""

from __future__ import annotations

import base64
import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.lab.process import LabError
from tests.e2e.lab.waiting import monotonic_secs, wait_for

CALL_SECS = 15.0
COMMAND_SECS = 90.0
POLL_SECS = 0.15


class NotReachableError(LabError):
    """The machine is off, or between two boots, or has not come so far."""


@dataclass(frozen=True, slots=True)
class GuestAgent:
    """The agent behind a socket of QEMU's."""

    path: Path

    def sh(self, script: str, *, timeout_secs: float = COMMAND_SECS) -> str:
        """Run a shell script as root; its output, both streams, whatever its exit status.

        Raises:
            NotReachableError: this boot of the machine does not answer.
            TooLateError: it took longer than ``timeout_secs``.
        """
        started = self._call("guest-exec", {"path": "/bin/sh", "arg": ["-c", script], "capture-output": True})

        def look() -> dict[str, Any] | None:
            state: dict[str, Any] = self._call("guest-exec-status", {"pid": started["pid"]})
            return state if state["exited"] else None

        done = wait_for(look, f"end of: {script}", deadline_secs=timeout_secs, poll_secs=POLL_SECS)
        return "".join(base64.b64decode(done.get(key, "")).decode(errors="replace") for key in ("out-data", "err-data"))

    def _call(self, command: str, arguments: dict[str, Any]) -> Any:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(CALL_SECS)
                connection.connect(str(self.path))
                return _converse(connection, {"execute": command, "arguments": arguments})
        except (OSError, ValueError) as error:
            raise NotReachableError(f"no answer to {command}: {error}") from error


def _converse(connection: socket.socket, request: dict[str, Any]) -> Any:
    """One request. What an earlier connection left unread comes before the answer to guest-sync-delimited."""
    lines = connection.makefile("rb")
    number = int(monotonic_secs() * 1000) & 0x7FFFFFFF
    sync = {"execute": "guest-sync-delimited", "arguments": {"id": number}}
    connection.sendall(b"\xff" + json.dumps(sync).encode() + b"\n")
    while not _answers(_line(lines), number):
        pass
    connection.sendall(json.dumps(request).encode() + b"\n")
    answer = json.loads(_line(lines))
    if "return" not in answer:
        raise ValueError(answer.get("error"))
    return answer["return"]


def _line(lines: Any) -> bytes:
    line: bytes = lines.readline()
    if not line:
        raise OSError("the guest agent's socket was closed")
    return line


def _answers(line: bytes, number: int) -> bool:
    try:
        return bool(json.loads(line.split(b"\xff")[-1]).get("return") == number)
    except ValueError:
        return False
