"""One power cut: rebuild the disk as the cut leaves it, boot it, and follow the host until it has come to rest."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from tests.e2e.lab.cache import Say
from tests.e2e.lab.lab import Lab
from tests.e2e.lab.waiting import monotonic_secs, pause
from tests.vm.cuts import Cut, Result
from tests.vm.guest_agent import NotReachableError
from tests.vm.machine import Document, VirtualMachine
from tests.vm.qemu import Hardware
from tests.vm.recording import SETTLED, Recording, is_at_rest
from tests.vm.stories import Story
from tests.vm.writelog import rebuild

LIMIT_SECS = 900.0
POLL_SECS = 1.5
REST_SECS = 8.0
"""At rest for so long, where the story leads: over."""
STUCK_SECS = 45.0
"""The same for any other place; hosts look for releases every 5 s."""
ATTEMPTS_GATE = "attempts"
PAST = timedelta(seconds=2)
POWER_CYCLES = 2
"""A host without a root is switched off and on so often before it counts as lost."""


@dataclass(slots=True)
class _Seen:
    """What was seen of a host so far."""

    first: str | None = None
    last: Document = field(default_factory=dict[str, object])
    key: tuple[object, ...] = ()
    since_secs: float = 0.0

    def add(self, told: Document) -> None:
        """One more snapshot."""
        booted = told["booted"]
        version = None if booted is None else str(booted["version"])
        self.first = self.first or version
        self.last = told
        key = (told["state"], version, len(told["history"]), len(told["denied"]))
        if key != self.key:
            self.key, self.since_secs = key, monotonic_secs()

    @property
    def unchanged_secs(self) -> float:
        """For how long the host has been as it is."""
        return monotonic_secs() - self.since_secs


def try_cut(lab: Lab, recording: Recording, story: Story, cut: Cut, say: Say) -> Result:
    """Cut, boot and follow; the server offers what the story offers."""
    folder = lab.folder("cut")
    image = folder / "disk.img"
    rebuilt = rebuild(recording.kit.disk, recording.log, image, upto=cut.upto, lost=cut.lost, seed=cut.seed)
    say(f"cut: {cut.name} ({cut.lost}, {rebuilt.lost_bytes // 1024} KiB lost)")
    result = follow(lab, image, folder, story, cut, say)
    image.unlink()
    return Result(
        cut=cut,
        boots_into=result.first,
        outcomes=tuple(str(attempt["outcome"]) for attempt in result.last.get("history", [])),
        denied=tuple(_version_of(denial) for denial in result.last.get("denied", [])),
        ends_in=result.ends_in,
        detail=result.detail,
        lost_bytes=rebuilt.lost_bytes,
        power_ons=result.power_ons,
        took_secs=result.took_secs,
    )


def _version_of(denial: Document) -> str:
    return str(denial.get("version") or denial["release"]["version"])


@dataclass(frozen=True, slots=True)
class Followed:
    """How a host went on."""

    first: str | None
    last: Document
    ends_in: str | None
    detail: str
    power_ons: int
    took_secs: float


def follow(lab: Lab, image: Path, folder: Path, story: Story, cut: Cut, say: Say) -> Followed:
    """Boot a disk and follow the host until it rests, or does not boot at all."""
    begin_secs, power_ons, seen = monotonic_secs(), 0, _Seen()
    ends_in, detail = None, ""
    for cycle in range(POWER_CYCLES):
        place = folder / f"power-cycle-{cycle}"
        place.mkdir()
        with VirtualMachine(lab, Hardware(image, place), say) as machine:
            ends_in, detail = _follow(machine, story, seen)
        machine.check_disk()
        power_ons += len(machine.powers)
        if seen.first is not None:
            break
    return Followed(seen.first, seen.last, ends_in, detail, power_ons, monotonic_secs() - begin_secs)


def _follow(machine: VirtualMachine, story: Story, seen: _Seen) -> tuple[str | None, str]:
    """Where the host came to rest, and what there is to say about it."""
    end_secs = monotonic_secs() + LIMIT_SECS
    while monotonic_secs() < end_secs:
        pause(POLL_SECS)
        if machine.is_without_root:
            return None, "the shell of the initramfs: no root"
        if not machine.is_on:
            return None, machine.trouble or "off"
        told = machine.snapshot()
        if told is None:
            continue
        seen.add(told)
        if is_at_rest(told, story.ends_in) and seen.unchanged_secs > REST_SECS:
            return story.ends_in, "at rest"
        if _waits_for_good(told) and seen.unchanged_secs > STUCK_SECS:
            return _booted(told), str(told["summary"])
        _pass_the_time(machine, told)
    return None, f"still {seen.last.get('state')} after {LIMIT_SECS:g} s"


def _waits_for_good(told: Document) -> bool:
    """Whether nothing happens by itself any more, as far as a snapshot can say.

    An agent whose state is ``failed`` tries again, as it has to where the machine is busy.
    """
    return told["state"] in {*SETTLED, "paused"} and bool(told["last_check"])


def _booted(told: Document) -> str | None:
    return None if told["booted"] is None else str(told["booted"]["version"])


def _pass_the_time(machine: VirtualMachine, told: Document) -> None:
    """Set the clock of a host that waits between two attempts to the end of its wait."""
    rows = [row for row in told["gates"] if row["gate"] == ATTEMPTS_GATE and row.get("until")]
    if not rows:
        return
    due = datetime.fromisoformat(rows[0]["until"]) + PAST
    try:
        machine.guest.sh(f"[ $(date +%s) -ge {due.timestamp():.0f} ] || date -s @{due.timestamp():.0f}")
    except NotReachableError:
        return
