"""A virtual machine with a power switch; its boot loader is played here, and reads the disk as it lies there.

Before each power-on, entry, kernel and initramfs are read from /boot without replaying its journal, as GRUB, extlinux
and U-Boot do; QEMU starts that kernel. A real boot loader would take 17 seconds more of an emulated processor, extlinux
cannot read the defaults of mke2fs, and Debian's GRUB cannot read libostree's entries; GRUB's driver finds the same.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.agent_host import STATUS_FILE
from tests.e2e.lab.cache import Say, silent
from tests.e2e.lab.lab import Lab
from tests.e2e.lab.process import LabError
from tests.e2e.lab.waiting import TooLateError, monotonic_secs, pause, wait_for
from tests.vm.bootmenu import Choice, Entry, FileSystem, default_entry, load, read_menu
from tests.vm.disk import BOOT
from tests.vm.guest_agent import GuestAgent, NotReachableError
from tests.vm.qemu import Hardware, accelerator, command

SAMPLE_SECS = 0.02
SOCKET_SECS = 20.0
RESET = "guest-reset"
NO_INIT = "No init found"
"""What the initramfs of Debian says before its shell: there is no root to go on with."""

DISK_ERROR = re.compile(r"I/O error, dev .*")

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the journal: when it was seen, in which boot, and how long the write log was then."""

    at_secs: float
    boot: int
    log_bytes: int
    text: str


@dataclass(frozen=True, slots=True)
class Power:
    """A power-on: the entry that the boot loader took."""

    at_secs: float
    log_bytes: int
    entry: Entry


class VirtualMachine:
    """See the module. Leaving it as a context manager cuts the power."""

    def __init__(self, lab: Lab, hardware: Hardware, say: Say = silent) -> None:
        self.hardware = hardware
        self.lines: list[Line] = []
        self.powers: list[Power] = []
        self.samples: list[tuple[float, int]] = []
        self.guest = GuestAgent(hardware.agent_socket)
        self.trouble: str | None = None
        self._lab = lab
        self._say = say
        self._made_secs = monotonic_secs()
        self._choices: dict[int, Choice] = {}
        self._unplugged = threading.Event()
        self._qemu: subprocess.Popen[bytes] | None = None
        self._threads = [threading.Thread(target=t, daemon=True) for t in (self._boot_loop, self._watch)]

    @property
    def at_secs(self) -> float:
        """Seconds since the machine was made."""
        return monotonic_secs() - self._made_secs

    def choose(self, boot: int, choice: Choice) -> None:
        """Let the boot loader take another entry than the default at power-on ``boot`` (the first is 1)."""
        self._choices[boot] = choice

    def power_on(self) -> None:
        """Press the button, once in the life of this object; resets are followed."""
        for thread in self._threads:
            thread.start()

    @property
    def is_on(self) -> bool:
        """True while it runs or resets."""
        return self._threads[0].is_alive()

    def cut(self) -> None:
        """Kill QEMU: what the guest has not written is lost."""
        self._unplugged.set()
        qemu = self._qemu
        if qemu is not None:
            with suppress(ProcessLookupError):
                os.killpg(qemu.pid, signal.SIGKILL)
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> VirtualMachine:
        self.power_on()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()

    def snapshot(self) -> Document | None:
        """What the agent says of itself, or None where nothing answers or it has said nothing in this boot."""
        try:
            told: Document = json.loads(self.guest.sh(f"cat {STATUS_FILE}", timeout_secs=20))
        except (NotReachableError, TooLateError, ValueError):
            return None
        return told

    def wait_line(self, pattern: str, *, deadline_secs: float, boot: int = 1) -> Line:
        """Wait for a line of the journal in boot ``boot`` or a later one.

        Raises:
            TooLateError: none came in time.
            LabError: the machine is off.
        """
        wanted = re.compile(pattern)

        def look() -> Line | None:
            if not self.is_on:
                raise LabError(f"the machine is off ({self.trouble}), waiting for: {pattern}")
            return next((line for line in self.lines if line.boot >= boot and wanted.search(line.text)), None)

        return wait_for(look, f"journal line {pattern}", deadline_secs=deadline_secs, poll_secs=SAMPLE_SECS)

    @property
    def serial(self) -> str:
        """The serial line of this boot."""
        file = self.hardware.serial(len(self.powers))
        return file.read_text(errors="replace") if file.exists() else ""

    @property
    def is_without_root(self) -> bool:
        """Whether this boot ended in the shell of the initramfs."""
        return NO_INIT in self.serial

    def check_disk(self) -> None:
        """Make sure that the disk did all that it was asked to, in every boot.

        Raises:
            LabError: the kernel saw an error; what the host did then proves nothing.
        """
        for number in range(1, len(self.powers) + 1):
            found = DISK_ERROR.search(self.hardware.serial(number).read_text(errors="replace"))
            if found is not None:
                raise LabError(f"the virtual disk failed in boot {number}: {found[0]}")

    # The boot loader

    def _boot_loop(self) -> None:
        reason: str | None = RESET
        while reason == RESET and not self._unplugged.is_set():
            try:
                reason = self._boot()
            except (LabError, OSError) as error:
                self.trouble = str(error)
                self._note(f"does not boot: {error}")
                return

    def _boot(self) -> str | None:
        boot = FileSystem(self.hardware.image, BOOT.start_bytes)
        menu = read_menu(boot)
        if not menu:
            raise LabError("the boot loader finds no entry")
        number = len(self.powers) + 1
        entry = self._choices.get(number, default_entry)(menu)
        loaded = load(boot, entry, self.hardware.folder)
        accelerate = accelerator(loaded.kernel)
        self._note(f"power-on {number}: {entry.title}, {entry.root}")
        argv = self._lab.namespaces.enter(command(self.hardware, loaded, number, accelerate))
        with (self.hardware.folder / "qemu.log").open("ab") as log:
            self._qemu = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self.powers.append(Power(self.at_secs, self._log_bytes(), entry))
        if self._unplugged.is_set():  # the power was cut while this boot was prepared
            os.killpg(self._qemu.pid, signal.SIGKILL)
        reason = self._follow(self._qemu)
        self._note(f"off: {reason}")
        return reason

    def _follow(self, qemu: subprocess.Popen[bytes]) -> str | None:
        """Wait for the end of QEMU; gives the reason that it names, or None where it was killed or failed."""
        reason: str | None = None
        with suppress(OSError, ValueError, TooLateError), socket.socket(socket.AF_UNIX) as monitor:
            wait_for(
                lambda: self._connects(monitor) or qemu.poll() is not None,
                "QEMU's monitor",
                deadline_secs=SOCKET_SECS,
            )
            events = monitor.makefile("rw")
            events.write('{"execute": "qmp_capabilities"}\n')
            events.flush()
            for event in map(json.loads, events):
                if event.get("event") == "SHUTDOWN":
                    reason = str(event["data"]["reason"])
        status = qemu.wait()
        if reason is None and not self._unplugged.is_set():
            self.trouble = f"QEMU ended with {status}: {self._last_words()}"
        return reason

    def _connects(self, monitor: socket.socket) -> bool:
        try:
            monitor.connect(str(self.hardware.monitor_socket))
        except OSError:
            return False
        return True

    def _last_words(self) -> str:
        return (self.hardware.folder / "qemu.log").read_text(errors="replace")[-500:]

    # What is seen from outside

    def _log_bytes(self) -> int:
        log = self.hardware.write_log
        return log.stat().st_size if log is not None and log.exists() else 0

    def _watch(self) -> None:
        """Collect the journal of all boots, and the length of the write log at each moment."""
        boot, read, rest = 1, 0, ""
        while True:
            ends = self._unplugged.is_set() and not self.is_on
            log_bytes = self._log_bytes()
            self.samples.append((self.at_secs, log_bytes))
            text, read = _more(self.hardware.journal(boot), read)
            *lines, rest = (rest + text).split("\n")
            self.lines += [Line(self.at_secs, boot, log_bytes, line.rstrip()) for line in lines]
            if not text and len(self.powers) > boot:
                boot, read, rest = boot + 1, 0, ""
            elif ends or (not text and not self.is_on):
                return
            pause(SAMPLE_SECS)

    def _note(self, what: str) -> None:
        self._say(f"{self.at_secs:8.1f} s  {what}")


def _more(file: Path, read: int) -> tuple[str, int]:
    if not file.exists():
        return "", read
    with file.open("rb") as handle:
        handle.seek(read)
        new = handle.read()
    return new.decode(errors="replace"), read + len(new)
