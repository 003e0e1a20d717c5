"""The outcome of an attempt, decided after the boot from the intent and the evidence. Pure.

Only the kernel replays a file system's journal; a boot loader reads the disk as it is. So after a power cut the boot
entries that a running system sees need not be those that it was chosen from, and an entry proves a fall-back only where
the boot loader has read it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import assert_never

from tidegate.engines.base import EngineStatus, Evidence, FinalizeFailure
from tidegate.records.model import EndCause, Ending, Intent, Outcome
from tidegate.system.last_boot import LastBoot

STAMP_RESOLUTION = timedelta(seconds=2)
"""Of times on a FAT file system, which /boot may be; they are rounded down."""


def decide_outcome(intent: Intent, host: EngineStatus) -> Outcome:
    """The outcome of ``intent``, seen from a later boot.

    Only proof that the boot loader had the target to choose makes a fall-back; what proves that is the engine's
    ``evidence``. A power cut before the switch leaves no proof, and the attempt is made again.
    """
    if host.booted.payload == intent.target.payload:
        return Outcome.APPLIED
    if _fell_back(intent, host):
        return Outcome.FELL_BACK
    if host.finalize_failure is not None and _is_of(host.finalize_failure, intent):
        return Outcome.FINALIZE_FAILED
    return Outcome.NOT_ATTEMPTED


def without_verdict(intent: Intent, host: EngineStatus, last_boot: LastBoot) -> Ending:
    """How an attempt ends that came to no boot of the target and to no failure that the engine knows of."""
    if host.booted_by_current_menu is False:
        why = "the power was cut before the boot loader could see the switch to it"
        return Ending(Outcome.NOT_ATTEMPTED, why, EndCause.POWER_CUT)
    if last_boot.cut_short(intent.boot):
        why = "the power was cut, or the host crashed, before it was switched to"
        return Ending(Outcome.NOT_ATTEMPTED, why, EndCause.POWER_CUT)
    why = "the host came up without it ever becoming a boot entry (power cut, or its staging was lost)"
    return Ending(Outcome.NOT_ATTEMPTED, why)


def _fell_back(intent: Intent, host: EngineStatus) -> bool:
    evidence = host.traits.evidence
    match evidence:
        case Evidence.BOOT_ENTRIES:
            return _has_new_entry(intent, host)
        case Evidence.ENGINE_REPORT:
            return host.fell_back == intent.target.payload
        case Evidence.BOOTED_ONLY:
            return False
        case _:
            assert_never(evidence)


def _has_new_entry(intent: Intent, host: EngineStatus) -> bool:
    """A boot entry says that the target was armed and the shutdown switched to it; one that it had before says nothing,
    unless it has become the default. It proves a fall-back only if the boot loader has read it."""
    if not host.booted_by_current_menu:
        return False
    target = intent.target.payload
    is_default = bool(host.entries) and host.entries[0].payload == target
    return is_default or (not intent.had_entry and any(entry.payload == target for entry in host.entries))


def _is_of(failure: FinalizeFailure, intent: Intent) -> bool:
    """Whether the failure is this attempt's: an engine may keep the note of an older one."""
    other_release = failure.payload is not None and failure.payload != intent.target.payload
    older = failure.at is not None and failure.at < intent.written_at - STAMP_RESOLUTION
    return not other_release and not older
