"""A machine with a power switch: its disk is a sysroot, its firmware and boot loader are played here.

systemd-nspawn boots the deployment that the boot loader's entry names, with a real systemd as PID 1. A reboot ends the
container with exit code 133; then the boot menu is read again and the next entry boots (systemd-nspawn 252).
"""

from __future__ import annotations

import base64
import json
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from tests.e2e.lab.bootloader import REBOOT_RC, Boot, Choice, default_entry, nspawn_command
from tests.e2e.lab.cache import Say, digest, silent
from tests.e2e.lab.guest import Guest, GuestGoneError, find_leader, pids_below
from tests.e2e.lab.lab import Lab
from tests.e2e.lab.process import LabError
from tests.e2e.lab.sysroot import Sysroot
from tests.e2e.lab.waiting import T, monotonic_secs, wait_for

UP_SECS = 180.0
OFF_SECS = 120.0  # systemd gives a service 90 s to stop
CUT_SECS = 10.0
UP_STATES = frozenset({"running", "degraded"})
CONSOLE_TAIL_CHARS = 3000


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a person at the machine would have seen, ``at_secs`` after the machine was made."""

    at_secs: float
    what: str


class Machine:
    """See the module. Use it as a context manager: leaving it cuts the power."""

    def __init__(self, lab: Lab, sysroot: Sysroot, name: str = "host", say: Say = silent) -> None:
        self.name = name
        self.sysroot = sysroot
        self.boots: list[Boot] = []
        self.events: list[Event] = []
        self.console = lab.folder(f"console-{name}") / "console.log"
        self._lab = lab
        self._say = say
        self._made_secs = monotonic_secs()
        self._choice: Choice = default_entry
        self._thread: threading.Thread | None = None
        self._unplugged = threading.Event()

    # Power

    def power_on(self, choose: Choice = default_entry) -> None:
        """Press the power button of a machine that is off; reboots are followed from then on."""
        if self.is_on:
            raise LabError(f"{self.name} is on already")
        self._choice = choose
        self._unplugged.clear()
        self._thread = threading.Thread(target=self._boot_loop, name=f"machine-{self.name}", daemon=True)
        self._thread.start()

    def choose_next(self, choose: Choice) -> None:
        """Let the next boot, and only that, start another entry than the default."""
        self._choice = choose

    def power_cut(self) -> None:
        """Pull the plug: everything in the machine ends at this instant and nothing is told.

        What it wrote stays, synced or not: the page cache is this machine's, so lost writes are not simulated.
        """
        self._note("power cut")
        self._unplugged.set()
        wait_for(self._pull, f"power cut of {self.name}", deadline_secs=CUT_SECS)

    def power_off(self, *, deadline_secs: float = OFF_SECS) -> None:
        """Shut down in order, and wait until the machine is off."""
        self.guest.run(["systemctl", "poweroff"])
        self.wait_off(deadline_secs=deadline_secs)

    def reboot(self, *, deadline_secs: float = OFF_SECS) -> Boot:
        """Ask the machine's systemd for a reboot and wait until the machine is up again."""
        number = len(self.boots) + 1
        with suppress(GuestGoneError):
            self.guest.run(["systemctl", "reboot"])
        return self.wait_boot(number, deadline_secs=deadline_secs)

    @property
    def is_on(self) -> bool:
        """True while it runs or reboots."""
        return self._thread is not None and self._thread.is_alive()

    # Waiting

    def wait_up(self, *, deadline_secs: float = UP_SECS) -> Guest:
        """Wait until systemd has finished booting, well or degraded."""
        return self.wait_for(self._up, "up", deadline_secs=deadline_secs)

    def wait_boot(self, number: int, *, deadline_secs: float = OFF_SECS) -> Boot:
        """Wait until boot ``number`` (the first is 1) is up."""
        self.wait_for(lambda: len(self.boots) >= number and self._up(), f"boot {number}", deadline_secs=deadline_secs)
        return self.boots[-1]

    def wait_off(self, *, deadline_secs: float = OFF_SECS) -> None:
        """Wait until the machine is off."""
        wait_for(lambda: not self.is_on, f"{self.name} off", deadline_secs=deadline_secs)

    def wait_for(self, look: Callable[[], T | None], what: str, *, deadline_secs: float) -> T:
        """Poll ``look`` until it returns something true. A machine between two boots is no error, one that is off is.

        Raises:
            GuestGoneError: the machine is off; the end of its console is in the message.
            TooLateError: ``deadline_secs`` passed first.
        """

        def look_patiently() -> T | None:
            self._check_on(what)
            with suppress(GuestGoneError):
                return look()
            return None

        return wait_for(look_patiently, f"{self.name}: {what}", deadline_secs=deadline_secs)

    # The inside

    @property
    def guest(self) -> Guest:
        """The running system; raises GuestGoneError when the machine is off or between two boots."""
        cgroup = self._lab.namespaces.outside(self._cgroup)
        leader = find_leader(cgroup)
        if leader is None:
            raise GuestGoneError(f"{self.name} has no running system")
        return Guest(leader, cgroup)

    def sh(self, script: str, *, timeout_secs: float = UP_SECS) -> str:
        """Run a shell script as root in the running system; see :meth:`Guest.sh`."""
        return self.guest.sh(script, timeout_secs=timeout_secs)

    def put(self, path: str, content: str, mode: int = 0o644) -> None:
        """Write a file.

        Anywhere while it is on. While it is off: below /var, below /etc of the default boot entry, and below /run,
        where it will be again at every boot.
        """
        if self.is_on:
            self.guest.put(path, content, mode)
        elif path.startswith("/run/"):
            encoded = base64.b64encode(content.encode()).decode()
            self.put(f"/etc/tmpfiles.d/lab-{digest(path)}.conf", f"f+~ {path} {mode:04o} 0 0 - {encoded}\n")
        else:
            self._put_at_rest(path, content, mode)

    def _put_at_rest(self, path: str, content: str, mode: int) -> None:
        at_rest = self._at_rest(path)
        self._lab.namespaces.must(["mkdir", "-p", at_rest.parent])
        file = self._lab.namespaces.outside(at_rest)
        file.write_text(content)
        file.chmod(mode)

    def journal(self, *matches: str) -> list[dict[str, str]]:
        """The persistent journal of all boots, oldest first, as journalctl -o json has it; also while it is off.

        ``matches`` go to journalctl: ``-u UNIT``, ``-b -1``, ``FIELD=value``.
        """
        folder = self.sysroot.var / "log/journal"
        show = ["journalctl", f"--directory={folder}", "--output=json", "--no-pager", "--quiet", *matches]
        return [_as_text(json.loads(line)) for line in self._lab.namespaces.must(show).splitlines()]

    def messages(self, *matches: str) -> str:
        """The messages of :meth:`journal`, one a line."""
        return "\n".join(entry.get("MESSAGE", "") for entry in self.journal(*matches))

    def __enter__(self) -> Machine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.is_on:
            self.power_cut()

    # The boot loader

    def _boot_loop(self) -> None:
        rc = REBOOT_RC
        while rc == REBOOT_RC and not self._unplugged.is_set():
            try:
                rc = self._boot()
            except (LabError, OSError, LookupError) as error:
                self._note(f"does not boot: {error}")
                return
        self._note("off" if rc == 0 else f"off, container ended with {rc}")

    def _boot(self) -> int:
        choose, self._choice = self._choice, default_entry
        entry = choose(self.sysroot.entries())
        boot = Boot(len(self.boots) + 1, entry)
        self._lab.namespaces.outside(self._cgroup).mkdir(exist_ok=True)
        try:
            with self.console.open("ab") as console, self._start(boot, console.fileno()) as container:
                self.boots.append(boot)
                self._note(f"boot {boot.number}: {entry.title}, {entry.payload[:8]}")
                return container.wait()
        finally:
            self._clear_away()

    def _clear_away(self) -> None:
        """A container that was killed is gone before the last of its processes is."""
        cgroup = self._lab.namespaces.outside(self._cgroup)
        wait_for(lambda: not [*pids_below(cgroup)], f"end of {self.name}'s processes", deadline_secs=CUT_SECS)
        self._lab.remove_cgroup(self._cgroup)
        self._lab.forget_machine(self.name)

    def _start(self, boot: Boot, console: int) -> subprocess.Popen[bytes]:
        join: list[str | Path] = ["sh", "-c", 'echo 0 > "$0/cgroup.procs"; exec "$@"', self._cgroup]
        command = self._lab.namespaces.enter([*join, *nspawn_command(self.name, self.sysroot, boot)])
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True
        )

    @property
    def _cgroup(self) -> Path:
        return self._lab.cgroup(self.name)

    def _pull(self) -> bool:
        with suppress(OSError):  # nothing runs yet, or no more
            (self._lab.namespaces.outside(self._cgroup) / "cgroup.kill").write_text("1")
        return not self.is_on

    def _up(self) -> Guest | None:
        guest = self.guest
        state = guest.run(["systemctl", "is-system-running", "--wait"]).out.strip()
        return guest if state in UP_STATES else None

    def _check_on(self, what: str) -> None:
        if not self.is_on:
            tail = self.console.read_text(errors="replace")[-CONSOLE_TAIL_CHARS:] if self.console.exists() else ""
            last = self.events[-1].what if self.events else "never powered on"
            raise GuestGoneError(f"{self.name} is off ({last}) while waiting for: {what}\n{tail}")

    def _at_rest(self, path: str) -> Path:
        if path.startswith("/var/"):
            return self.sysroot.var / path.removeprefix("/var/")
        if path.startswith("/etc/"):
            return self.sysroot.entries()[0].deployment / path.lstrip("/")
        raise LabError(f"{self.name} is off: {path} cannot be written", "files below /etc, /var and /run can")

    def _note(self, what: str) -> None:
        event = Event(monotonic_secs() - self._made_secs, what)
        self.events.append(event)
        self._say(f"{self.name} {event.at_secs:7.2f} s  {what}")


def _as_text(entry: dict[str, object]) -> dict[str, str]:
    return {key: value if isinstance(value, str) else str(value) for key, value in entry.items()}
