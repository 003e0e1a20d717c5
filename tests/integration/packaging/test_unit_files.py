"""How far each unit is shut in, by systemd's own measure."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = sorted((Path(__file__).resolve().parents[3] / "systemd").glob("*.service"))
SERVICES = [unit for unit in UNITS if re.search(r"^\[Service\]$", unit.read_text(), re.MULTILINE)]
ANALYZE_SECS = 60.0

# Tenths of systemd's exposure level, as its --threshold= counts.
THRESHOLD = 20
OF_ENGINES = 50
"""What engines need of root makes up most of it; test_sandbox.py of the whole hosts tells what for."""


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_a_service_is_shut_in(unit: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed: apt-get install systemd")
    threshold = OF_ENGINES if unit.name == "tidegate-engine.service" else THRESHOLD
    analyze = ["systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={threshold}", str(unit)]
    done = subprocess.run(analyze, capture_output=True, text=True, timeout=ANALYZE_SECS, check=False)
    assert "Overall exposure level" in done.stdout, done.stderr
    assert done.returncode == 0, done.stdout.splitlines()[-1]


def test_what_agent_and_helper_have_in_common_is_not_more_than_needed() -> None:
    agent, helper = (
        next(unit for unit in SERVICES if unit.name == name).read_text()
        for name in ("tidegate.service", "tidegate-engine.service")
    )
    assert re.search(r"^CapabilityBoundingSet=$", agent, re.MULTILINE), "the agent has no capability at all"
    assert re.search(r"^StateDirectoryMode=0750$", agent, re.MULTILINE)
    assert re.search(r"^UMask=0027$", agent, re.MULTILINE)
    for unit in (agent, helper):
        assert re.search(r"^NoNewPrivileges=yes$", unit, re.MULTILINE)
        assert re.search(r"^ProtectSystem=strict$", unit, re.MULTILINE)
