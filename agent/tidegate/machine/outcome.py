"""The outcome of an attempt, decided after the boot from the intent and the engine's evidence. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import assert_never

from tidegate.engines.base import EngineStatus, Evidence, FinalizeFailure
from tidegate.records.model import Intent, Outcome

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
    unless it has become the default."""
    target = intent.target.payload
    is_default = bool(host.entries) and host.entries[0].payload == target
    return is_default or (not intent.had_entry and any(entry.payload == target for entry in host.entries))


def _is_of(failure: FinalizeFailure, intent: Intent) -> bool:
    """Whether the failure is this attempt's: an engine may keep the note of an older one."""
    other_release = failure.payload is not None and failure.payload != intent.target.payload
    older = failure.at is not None and failure.at < intent.written_at - STAMP_RESOLUTION
    return not other_release and not older
