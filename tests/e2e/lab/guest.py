"""Inside a running machine: commands, files, processes and its bus, seen from the harness."""

from __future__ import annotations

import os
import re
import shlex
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from tests.e2e.lab.process import DEFAULT_TIMEOUT_SECS, Command, LabError, Result, run

GUEST_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin", "HOME": "/root", "LANG": "C.UTF-8"}

# systemd stops all processes for a moment when it shuts down. An nsenter that forks by itself stops along with its
# child and is never continued; the machine then waits for ever for the child to be reaped (util-linux 2.38).
FORK = ("sh", "-c", '"$@"; exit $?', "sh")

GRACE_SECS = 5.0  # for timeout(1) in the guest to end the command before we end timeout(1)


class GuestGoneError(LabError):
    """The machine is off, or between two boots."""


@dataclass(frozen=True, slots=True)
class Guest:
    """One boot of a machine. ``leader`` is its PID 1 as the harness sees it; ``cgroup`` is where it all runs."""

    leader: int
    cgroup: Path

    def enter(self, argv: Command) -> Command:
        """The command line that runs ``argv`` as root in the machine."""
        into = ["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--no-fork"]
        return ["nsenter", f"--target={self.leader}", *into, "--", *FORK, *argv]

    def run(self, argv: Command, *, timeout_secs: float = DEFAULT_TIMEOUT_SECS, stdin: str = "") -> Result:
        """Run a command as root in the machine.

        Its exit code is 124 when it takes longer than ``timeout_secs``, and 128 + N when signal N ends it.

        Raises:
            GuestGoneError: this boot of the machine has ended.
        """
        bounded = self.enter(["timeout", "--kill-after=1", f"{timeout_secs:g}", *argv])
        done = run(bounded, timeout_secs=timeout_secs + GRACE_SECS, env=GUEST_ENVIRONMENT, stdin=stdin)
        done = replace(done, command=shlex.join(map(str, argv)))
        if not done.ok and not self.is_alive:
            raise GuestGoneError(f"the machine went away during: {done.command}")
        return done

    @property
    def is_alive(self) -> bool:
        """False once this boot of the machine has ended; a leader that is dead but not yet reaped has no namespaces."""
        return Path(f"/proc/{self.leader}/ns/pid").exists()

    def sh(self, script: str, *, timeout_secs: float = DEFAULT_TIMEOUT_SECS) -> str:
        """Run a shell script as root in the machine; its standard output, or LabError unless it succeeds."""
        return self.run(["sh", "-ec", script], timeout_secs=timeout_secs).checked()

    def put(self, path: str, content: str, mode: int = 0o644) -> None:
        """Write a file, its folders too, at once (by rename)."""
        script = 'mkdir -p "${1%/*}"; cat > "$1.lab-new"; chmod "$2" "$1.lab-new"; mv "$1.lab-new" "$1"'
        self.run(["sh", "-ec", script, "sh", path, f"{mode:o}"], stdin=content).checked()

    def read(self, path: str) -> str | None:
        """The text of a file, or None where there is none."""
        done = self.run(["cat", path])
        return done.out if done.ok else None

    @property
    def bus_address(self) -> str:
        """The machine's system bus, for clients that run outside of it."""
        return f"unix:path=/proc/{self.leader}/root/run/dbus/system_bus_socket"

    def pids(self, pattern: str) -> list[int]:
        """Processes of the machine whose command line matches the regular expression, as the harness numbers them."""
        return [pid for pid in pids_below(self.cgroup) if re.search(pattern, command_line(pid))]

    def kill(self, pattern: str, with_signal: signal.Signals = signal.SIGKILL) -> int:
        """Signal all processes whose command line matches; returns how many."""
        found = self.pids(pattern)
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, with_signal)
        return len(found)


def command_line(pid: int) -> str:
    """The arguments of a process, or nothing when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ").strip()
    except OSError:
        return ""


def pids_below(cgroup: Path) -> Iterator[int]:
    """All processes in a cgroup and below it."""
    for folder, _, _ in os.walk(cgroup):
        with suppress(OSError):  # gone, or a threaded group
            yield from (int(pid) for pid in (Path(folder) / "cgroup.procs").read_text().split())


def find_leader(cgroup: Path) -> int | None:
    """The systemd that is PID 1 of the machine in ``cgroup``, once there is one."""
    return next((pid for pid in pids_below(cgroup / "payload") if _is_leader(pid)), None)


def _is_leader(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    return (
        re.search(r"^Name:\tsystemd$", status, re.M) is not None
        and re.search(r"^NSpid:.*\t1$", status, re.M) is not None
    )
