"""One run of a story with every write to the disk logged, from which any power cut can be made."""

from __future__ import annotations

import bisect
from collections.abc import Callable
from dataclasses import dataclass

from tests.e2e.lab.cache import Say
from tests.e2e.lab.lab import Lab
from tests.e2e.lab.process import LabError
from tests.e2e.lab.server import Server
from tests.e2e.lab.waiting import wait_for
from tests.vm.disk import copy_sparse
from tests.vm.kit import Kit
from tests.vm.machine import Document, Line, VirtualMachine
from tests.vm.qemu import Hardware
from tests.vm.stories import Story
from tests.vm.writelog import WriteLog

STORY_SECS = 900.0
POLL_SECS = 1.0
SETTLED = frozenset({"steady", "disabled"})
Outcomes = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Recording:
    """A finished run: the disk at its start, the writes since, the journal and the length of the log over time."""

    kit: Kit
    log: WriteLog
    lines: tuple[Line, ...]
    samples: tuple[tuple[float, int], ...]
    powers: tuple[int, ...]
    """The length of the log at each power-on."""
    outcomes: Outcomes

    def log_bytes(self, at_secs: float) -> int:
        """How long the log was at an instant."""
        number = bisect.bisect_right(self.samples, at_secs, key=lambda sample: sample[0])
        return self.samples[max(0, number - 1)][1]

    def at_secs(self, log_bytes: int) -> float:
        """When the log had grown beyond ``log_bytes``."""
        number = bisect.bisect_right(self.samples, log_bytes, key=lambda sample: sample[1])
        return self.samples[min(number, len(self.samples) - 1)][0]


Over = Callable[[VirtualMachine], Outcomes | None]
"""Says whether a run is over, with the outcomes of all attempts."""


def record(lab: Lab, kit: Kit, server: Server, story: Story, say: Say, over: Over | None = None) -> Recording:
    """Run a story from the first power-on to its end, or until it is ``over``.

    Raises:
        LabError: it did not come to its end.
    """
    folder = lab.folder(f"record-{story.name}")
    image, log = folder / "disk.img", folder / "writes.log"
    copy_sparse(kit.disk, image)
    log.touch()
    kit.offer(server, story.offered)
    machine = VirtualMachine(lab, Hardware(image, folder, log), say)
    for boot, choice in story.choices.items():
        machine.choose(boot, choice)
    with machine:
        ended = over or _end_of(story)
        (outcomes,) = wait_for(
            lambda: _boxed(ended(machine)), f"the end of {story.name}", deadline_secs=STORY_SECS, poll_secs=POLL_SECS
        )
    machine.check_disk()
    image.unlink()
    powers = tuple(power.log_bytes for power in machine.powers)
    return Recording(kit, WriteLog(log), tuple(machine.lines), tuple(machine.samples), powers, outcomes)


def _boxed(outcomes: Outcomes | None) -> tuple[Outcomes] | None:
    """Something true where a run is over, also without an attempt."""
    return None if outcomes is None else (outcomes,)


def _end_of(story: Story) -> Over:
    """A run is over once the host is at rest where the story leads."""
    return lambda machine: _at_its_end(machine, story)


def _at_its_end(machine: VirtualMachine, story: Story) -> Outcomes | None:
    if not machine.is_on:
        raise LabError(f"the machine is off: {machine.trouble}")
    if len(machine.powers) < story.boots:
        return None
    told = machine.snapshot()
    if told is None or not is_at_rest(told, story.ends_in):
        return None
    machine.guest.sh("sync")
    return tuple(str(attempt["outcome"]) for attempt in told["history"])


def is_at_rest(told: Document, version: str) -> bool:
    """Whether a snapshot is that of a host that runs ``version`` and has nothing to do."""
    booted = told["booted"]
    return told["state"] in SETTLED and bool(told["last_check"]) and booted is not None and booted["version"] == version
