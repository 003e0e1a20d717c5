"""The host as far as the machine can tell: which release is booted, staged, armed, and what has a boot entry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.fakes.builders import host
from tidegate.engines.base import DEFAULT_TRAITS, EngineTraits, RebootOwner
from tidegate.machine.effects import (
    Arm,
    Disarm,
    EndHandOver,
    HandOver,
    Rollback,
    Stage,
    StartWorkload,
    StopWorkload,
    Task,
)
from tidegate.machine.events import HostView
from tidegate.system.boot import BootInstance
from tidegate.system.last_boot import LastBoot

VERSIONS = ("1", "2", "3")


@dataclass
class Host:
    """A host that starts in release 1."""

    booted: str = "1"
    staged: str | None = None
    locked: bool = True
    armed_by_agent: bool = False
    led_back: bool = False
    """The agent has made an older release the default."""
    entries: tuple[str, ...] = ("1",)
    finalize_failure: str | None = None
    going_down: bool = False
    boots: int = 1
    soft_reboots: int = 0
    passed_over: tuple[str, ...] = ()
    """What had a boot entry when the boot loader last took another."""
    left: frozenset[str] = frozenset()
    """What was passed over at some boot, and has not been booted since."""
    fell_back: str | None = None
    """The default that the boot loader gave up when it last took another."""
    traits: EngineTraits = DEFAULT_TRAITS
    workload_runs: bool = True
    handed_over: bool = False
    current_menu: bool = True
    """The boot loader has read the entries that the running system sees."""
    shut_down: BootInstance | None = None
    """The latest boot that ended with a shutdown."""

    @property
    def boot(self) -> BootInstance:
        return BootInstance(f"{self.boots:08d}", self.soft_reboots)

    def view(self) -> HostView:
        return host(
            self.booted,
            self.staged,
            locked=self.locked,
            entries=self.entries,
            finalize_failure=self.finalize_failure,
            shutting_down=self.going_down,
            traits=self.traits,
            fell_back=self.fell_back,
            current_menu=self.current_menu,
            last_boot=LastBoot(self.shut_down),
        )

    def do(self, task: Task) -> bool:
        """Carry out ``task``; False where the engine would refuse."""
        match task:
            case Stage(target=target):
                return self._stage(target.version)
            case Arm(target=target):
                return self._arm(target.version)
            case Rollback(target=target):
                return self.traits.can_rollback and self._roll_back(target.version)
            case Disarm(target=target):
                return self.traits.can_disarm and self._disarm(target.version)
            case _:
                return self._work(task)

    def _work(self, task: Task) -> bool:
        match task:
            case StopWorkload():
                self.workload_runs = False
            case StartWorkload():
                self.workload_runs = True
            case HandOver():
                self.handed_over = True
            case EndHandOver():
                self.handed_over = False
            case _:
                pass
        return True

    def _stage(self, version: str) -> bool:
        foreign = self.staged is not None and not self.locked and not self.armed_by_agent
        if foreign:
            return False
        self.staged, self.locked, self.armed_by_agent = version, True, False
        return True if self.traits.stages_locked else self._arm(version)

    def _arm(self, version: str) -> bool:
        if self.staged != version and self.entries[0] != version:
            return False
        if self.staged == version:
            self.locked, self.armed_by_agent = False, True
        self.going_down |= self.traits.reboots is RebootOwner.ENGINE
        return True

    def _roll_back(self, version: str) -> bool:
        """Make an older release the default; an unlocked staging would win over it."""
        if version not in self.entries or (self.staged is not None and not self.locked):
            return False
        self.staged, self.locked = None, True
        self.entries = (version, *(entry for entry in self.entries if entry != version))
        self.led_back = True
        self.going_down |= self.traits.reboots is RebootOwner.ENGINE
        return True

    def _disarm(self, version: str) -> bool:
        if self.staged == version:
            self.locked, self.armed_by_agent = True, False
            if not self.traits.stages_locked:
                self.staged = None  # what cannot be staged without being armed is gone
        self.led_back = False
        if self.entries[0] == version != self.booted:
            self.entries = (self.booted, *(entry for entry in self.entries if entry != self.booted))
        return True

    def stage_by_hand(self, version: str) -> None:
        """Somebody stages with the engine's own tools, unlocked."""
        if version != self.booted and not self.armed_by_agent:
            self.staged, self.locked = version, False

    def come_up(self, how: str, choose: Callable[..., str]) -> None:
        """The next boot. ``choose``: what the boot loader takes of its entries, the default mostly."""
        self.finalize_failure, self.current_menu = None, True
        menu = self.entries
        if how not in ("power cut", "cut amid the switch"):
            self.shut_down = self.boot
        match how:
            case "clean":
                self._shut_down(finalizes=True)
                self._boot_into(choose(self.entries[0], self.entries[0], *self.entries))
            case "switch fails":
                self._shut_down(finalizes=False)
                self._boot_into(self.entries[0])
            case "cut amid the switch":
                self._shut_down(finalizes=True)
                self._boot_into(menu[0])
                if menu != self.entries:
                    self.current_menu = False
                    self.left -= set(self.passed_over)
                    self.passed_over, self.fell_back = (), None
            case "power cut":
                self._boot_into(choose(self.entries[0], self.entries[0], *self.entries))
            case _:
                self._shut_down(finalizes=True)
                self._begin_anew()
                self.soft_reboots += 1

    def _shut_down(self, *, finalizes: bool) -> None:
        """In good order: what is staged and unlocked becomes the default boot entry, or that fails."""
        if self.staged is None or self.locked:
            return
        if finalizes:
            self.entries = tuple(dict.fromkeys((self.staged, self.booted)))
        else:
            self.finalize_failure = "could not write the boot entry"

    def _boot_into(self, version: str) -> None:
        self._begin_anew()
        self.booted = version
        self.fell_back = self.entries[0] if version != self.entries[0] else None
        self.passed_over = tuple(entry for entry in self.entries if entry != version)
        self.left = self.left.union(self.passed_over) - {version}
        self.boots, self.soft_reboots = self.boots + 1, 0

    def _begin_anew(self) -> None:
        """What was staged is gone, and so is whatever was under way."""
        self.staged, self.locked, self.armed_by_agent, self.going_down = None, True, False, False
        self.led_back = False
        self.workload_runs, self.handed_over = True, False
