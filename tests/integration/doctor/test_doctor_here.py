"""The doctor on the machine that runs the tests, whatever it is: a whole report, nothing on stderr, in time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tidegate.doctor.run import AREA_SECS, AREAS

SECS = AREA_SECS + 15
"""And what it takes a busy machine to start a python."""


def test_the_report_is_whole_and_says_plainly_where_there_is_no_systemd() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tidegate", "doctor", "--json"],
        capture_output=True,
        text=True,
        timeout=SECS,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3] / "agent")},
    )
    assert done.stderr == ""
    told = json.loads(done.stdout)
    assert done.returncode == (1 if told["verdict"] == "problem" else 0)
    assert {one["area"] for one in told["findings"]} == set(AREAS)
    assert all(one["remedy"] for one in told["findings"] if one["status"] != "ok")
    assert not [one for one in told["findings"] if "checking it failed" in one["message"]]
    if not Path("/run/systemd/system").is_dir():
        (units,) = [one for one in told["findings"] if one["area"] == "units"]
        assert (units["check"], units["status"]) == ("systemd", "problem")
        assert "systemd does not run this machine" in units["message"]
