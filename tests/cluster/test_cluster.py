"""A short run of the cluster test: faults in etcd members and coordinators under load never over-grant a group.

The big run is ``python -m tests.cluster``; it prints the same account for 100,000 cycles.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.checker import Rule
from tests.cluster.faulty_server import Defect
from tests.cluster.nodes import ETCD

CHECKOUT = Path(__file__).resolve().parents[2]
RUN_SECS = 25
"""Some nine faults. Their seed is always the same: CI is not to say what nobody can repeat."""

DEADLINE_SECS = 240
FEWEST_CYCLES = 300
"""Of thousands: less means that the locks did not work for most of the time."""

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for namespaces"),
    pytest.mark.skipif(not Path(ETCD).exists(), reason="needs etcd (Debian: etcd-server)"),
    pytest.mark.skipif(
        not all(map(shutil.which, ("ip", "unshare", "nsenter"))), reason="needs iproute2 and util-linux"
    ),
]


def run(tmp_path: Path, *arguments: str) -> tuple[int, str, dict[str, Any]]:
    """A run's exit code, page and account."""
    account = tmp_path / "account.json"
    command = [sys.executable, "-m", "tests.cluster", "--cycles=1000000", f"--json={account}", *arguments]
    done = subprocess.run(
        command, cwd=CHECKOUT, capture_output=True, text=True, timeout=DEADLINE_SECS, check=False, env={**os.environ}
    )
    return done.returncode, done.stdout + done.stderr, json.loads(account.read_text()) if account.exists() else {}


def test_no_slot_is_granted_twice_whatever_happens_to_members_and_coordinators(tmp_path: Path) -> None:
    code, page, account = run(tmp_path, f"--secs={RUN_SECS}", "--seed=2")
    assert (code, account.get("breaches")) == (0, []), page
    assert account["cycles"] >= FEWEST_CYCLES, page
    assert account["faults"] >= 5, page


@pytest.mark.parametrize(
    ("defect", "broken"), [(Defect.CARELESS, Rule.FREED_TOO_EARLY), (Defect.HOPEFUL, Rule.GRANT_NOT_WRITTEN)]
)
def test_a_server_that_is_wrong_is_found_out(tmp_path: Path, defect: Defect, broken: Rule) -> None:
    """Without this, the run above could be clean because nobody looks."""
    code, page, account = run(tmp_path, "--secs=10", f"--planted={defect.value}")
    assert code == 1, page
    assert any(one.startswith(broken.value) for one in account["breaches"]), page
