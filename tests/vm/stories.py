"""The stories in which power is cut: what happens in each, when it is over, and where a host may end after a cut."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.vm.bootmenu import Choice, fallback_entry


@dataclass(frozen=True, slots=True)
class Milestone:
    """An instant of a story: ``after_secs`` after the ``nth`` line of the journal that matches ``pattern`` in boot
    ``boot`` of the recording."""

    name: str
    pattern: str
    boot: int
    after_secs: float = 0.0
    nth: int = 1


@dataclass(frozen=True, slots=True)
class Story:
    """A story. ``offered`` is the release that the server offers, ``ends_in`` where an uncut host ends, after
    ``boots`` power-ons. A cut may end in ``may_end_in`` as well, and deny ``rightly_denied``, nothing else. Power is
    cut from power-on ``from_boot`` on: what happens before is another story."""

    name: str
    offered: str
    ends_in: str
    boots: int
    outcomes: tuple[str, ...]
    milestones: tuple[Milestone, ...]
    from_boot: int = 1
    rightly_denied: frozenset[str] = frozenset()
    may_end_in: frozenset[str] = frozenset()
    choices: Mapping[int, Choice] = field(default_factory=dict[int, Choice])


FINALIZED = "Stopped ostree-finalize-staged.service"
STAGED_AND_SWITCHED = (
    Milestone("staging", r"tidegate-engine.service - Tidegate", 1, 20.0),
    Milestone("staged", r"tidegate\[\d+\]: staged ", 1),
    Milestone("attempt on record", r"tidegate\[\d+\]: finalizing ", 1),
    Milestone("going down", r"tidegate\[\d+\]: the host goes down", 1),
    Milestone("finalizing: /etc is merged", r"Copying /etc changes", 1),
    Milestone("menu switched", r"Bootloader updated", 1),
    Milestone("finalizing has ended, /boot is mounted", FINALIZED, 1),
    Milestone("/boot unmounted", r"Unmounted boot.mount", 1, 0.1),
)
IN_THE_TARGET = (
    Milestone("early boot of the target", r"Starting systemd-journal-flush", 2),
    Milestone("the agent starts in the target", r"tidegate\[\d+\]: this host is", 2),
)

UPDATE = Story(
    name="update",
    offered="2",
    ends_in="2",
    boots=2,
    outcomes=("applied",),
    milestones=(
        *STAGED_AND_SWITCHED,
        *IN_THE_TARGET,
        Milestone("watch", r"tidegate\[\d+\]: this host is", 2, 12.0),
        Milestone("applied", r"tidegate\[\d+\]: .*applied", 2),
    ),
)
"""A good release arrives."""

LEAVING = (
    Milestone("not well, denied", r"tidegate\[\d+\]: .* is not well, and denied", 2),
    Milestone("leaving is due", r"tidegate\[\d+\]: leaving ", 2),
    Milestone("attempt on record", r"tidegate\[\d+\]: finalizing 1: ", 2),
)

ROLLBACK = Story(
    name="rollback",
    offered="2u",
    from_boot=2,
    ends_in="1",
    boots=3,
    outcomes=("rejected", "applied"),
    rightly_denied=frozenset({"2u"}),
    milestones=(
        *LEAVING,
        Milestone("menu written", r"Bootloader updated", 2),
        Milestone("waiting for the reboot", r"Bootloader updated", 2, 2.0),
        Milestone("going down", r"tidegate\[\d+\]: the host goes down", 2),
        Milestone("/boot unmounted", r"Unmounted boot.mount", 2, 0.1),
        Milestone("the agent starts in the old release", r"tidegate\[\d+\]: this host is", 3),
    ),
)
"""A release is not well, and is left for the one before."""

DISARM = Story(
    name="disarm",
    offered="2d",
    from_boot=2,
    ends_in="1",
    boots=3,
    outcomes=("rejected", "applied"),
    rightly_denied=frozenset({"2d"}),
    milestones=(
        *LEAVING,
        Milestone("menu written", r"Bootloader updated", 2),
        Milestone("called off, menu written back", r"Bootloader updated", 2, nth=2),
        Milestone("called off, 2 s later", r"Bootloader updated", 2, 2.0, nth=2),
        Milestone("menu written again", r"Bootloader updated", 2, nth=3),
        Milestone("going down", r"tidegate\[\d+\]: the host goes down", 2),
        Milestone("/boot unmounted", r"Unmounted boot.mount", 2, 0.1),
    ),
)
"""A rollback is armed, called off because a program blocks shutdowns, and armed again when it has ended."""

FALL_BACK = Story(
    name="fall-back",
    offered="2",
    from_boot=2,
    ends_in="1",
    boots=2,
    outcomes=("fell_back",),
    rightly_denied=frozenset({"2"}),
    may_end_in=frozenset({"2"}),
    choices={2: fallback_entry},
    milestones=(
        Milestone("early boot of the old release", r"Starting systemd-journal-flush", 2),
        Milestone("the agent starts in the old release", r"tidegate\[\d+\]: this host is", 2),
        Milestone("fall-back found, denied", r"tidegate\[\d+\]: .* fell back", 2),
        Milestone("menu written back", r"Bootloader updated", 2),
        Milestone("menu written back, 2 s later", r"Bootloader updated", 2, 2.0),
        Milestone("at rest", r"Bootloader updated", 2, 15.0),
    ),
)
"""The boot loader takes the other entry after a clean switch; the old release becomes the default again."""

STORIES = {story.name: story for story in (UPDATE, ROLLBACK, DISARM, FALL_BACK)}
