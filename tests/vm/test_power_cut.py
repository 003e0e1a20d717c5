"""A power cut right after the boot menu was switched, on a virtual machine whose boot loader replays no journal.

Asserted: the host comes back in the old release, since its boot loader has read the older menu; that denies nothing,
and is no fall-back; and the host arrives in the new release by itself. The whole is ``python -m tests.vm``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import REQUIRED_VARIABLE
from tests.e2e.lab.cache import Cache
from tests.e2e.lab.lab import Lab, open_lab
from tests.e2e.lab.server import serve
from tests.vm.classify import Verdict, classify, windows
from tests.vm.cuts import Cut
from tests.vm.doctor import can_run
from tests.vm.kit import PORT, kit_for
from tests.vm.machine import VirtualMachine
from tests.vm.recording import Outcomes, record
from tests.vm.recovery import try_cut
from tests.vm.stories import FINALIZED, UPDATE

pytestmark = pytest.mark.host

SUITE = "bookworm"
"""Its ostree, 2022.7, leaves the switch in the journal of /boot; from 2025.2 on that lasts for milliseconds."""


@pytest.fixture
def lab() -> Iterator[Lab]:
    """The network that machines and server are on; without QEMU or what builds hosts, the test is skipped and says
    why."""
    if reason := can_run():
        (pytest.fail if os.environ.get(REQUIRED_VARIABLE) == "1" else pytest.skip)(reason)
    with open_lab(Cache.default(print)) as lab:
        yield lab


def switched(machine: VirtualMachine) -> Outcomes | None:
    """The run is over once ostree's service has ended: what follows is not needed."""
    return () if any(FINALIZED in line.text for line in machine.lines) or not machine.is_on else None


def test_a_power_cut_right_after_the_menu_was_switched_denies_nothing_and_the_host_arrives(lab: Lab) -> None:
    with serve(lab, PORT) as server:
        recording = record(lab, kit_for(lab, SUITE), server, UPDATE, print, switched)
        begin = next(line for line in recording.lines if "Finalizing staged deployment" in line.text)
        found = windows(classify(recording, lab.folder("classify"), since=begin.log_bytes))
        window = next(w for w in found if w.finding.verdict is Verdict.OLDER_MENU)
        assert (window.finding.boots, window.finding.default) == ("1", "2")
        first = window.instants[0]
        cut = Cut("right after the switch of the menu", first.at_secs, first.upto, first.lost, first.seed)
        result = try_cut(lab, recording, UPDATE, cut, print)
    assert result.boots_into == "1", result.detail
    assert result.denied == (), result.detail
    assert result.outcomes == ("not_attempted", "applied")
    assert result.ends_in == "2", result.detail
