"""The agent is updated while the one before it is in any phase: it goes on from the records that this one left.

``by_phase.json`` has them, one document for each phase in which the last released agent wrote another one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.builders import BOOT
from tests.faults.scenarios import gave_up, is_on, is_on_denied, paused_in
from tests.faults.world import Rig
from tidegate.fleetlock.account import FleetLocking
from tidegate.records.codec import decode
from tidegate.records.model import LockState

BY_PHASE = Path(__file__).parents[1] / "unit" / "records" / "fixtures" / "by_phase.json"
DOCUMENTS: dict[str, Any] = json.loads(BY_PHASE.read_text(encoding="utf-8"))
ENDS: dict[str, Callable[[Rig], bool]] = {
    "exhausted": gave_up,
    "leaving": is_on_denied("1"),
    "held_back": is_on_denied("1"),
    "paused": paused_in("2"),
}
"""How it ends where the host does not simply go on to release 2."""


def left_by(document: dict[str, Any], rig: Rig) -> None:
    """Put the records on the rig's disk, and its host where they say that it is."""
    in_two = document["verification"] is not None or document["rollback"] is not None
    if in_two or document["waiting"] is not None:
        rig.host.stage_by_hand("2", locked=not in_two and document["intent"] is None)
    if in_two:
        rig.host.reboot()
    records = decode(json.loads(json.dumps(document).replace(BOOT.boot_id, rig.host.boot.boot_id)))
    if records.lock is not None:
        account = records.lock.account
        rig.lock_with(FleetLocking(account))
        if records.lock.state in (LockState.HELD, LockState.MAYBE_HELD):
            rig.locks.locks.at(account).pre_reboot(account.group, account.id)
    if records.verification is not None and records.verification.bad:
        rig.health.broken.add("2")
    rig.disk.save(records)


@pytest.mark.parametrize("phase", DOCUMENTS)
def test_an_updated_agent_goes_on_where_the_last_one_was(phase: str, tmp_path: Path) -> None:
    rig = Rig(tmp_path / "host", ["1", "2"])
    left_by(DOCUMENTS[phase], rig)
    end = ENDS.get(phase, is_on("2"))
    rig.run(end)
    records = rig.disk.load()
    assert records.attempt is None
    assert (records.intent is None) is (phase != "paused")
    assert not rig.has_slot
