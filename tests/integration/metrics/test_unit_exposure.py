"""How much of the host the units of metrics and notices are exposed to, by systemd's own measure."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).resolve().parents[3] / "systemd"


@pytest.mark.parametrize(
    ("unit", "most_tenths"),
    [
        ("tidegate-metrics.service", 10),
        ("tidegate-metrics-textfile.service", 15),
        ("tidegate-reboot-required.service", 15),
    ],
)
def test_a_unit_is_exposed_to_little(unit: str, most_tenths: int) -> None:
    path = shutil.which("systemd-analyze")
    if path is None:
        pytest.skip("needs systemd-analyze (apt-get install systemd)")
    command = [path, "security", "--no-pager", "--offline=true", f"--threshold={most_tenths}", str(UNITS / unit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Overall exposure level for {unit}" in done.stdout
