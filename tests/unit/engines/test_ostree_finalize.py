"""Reports of a failed finalization: the stamp, and entries of the journal."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tidegate.engines.base import FinalizeFailure
from tidegate.engines.ostree.finalize import STAMP, FinalizeReport, read_entry

WHEN = datetime(2026, 11, 30, 12, 0, 0, 500_000, UTC)
USEC = str(int(WHEN.timestamp() * 1_000_000))


def test_a_stamp_has_the_time_at_which_it_was_written(tmp_path: Path) -> None:
    stamp = tmp_path / STAMP
    stamp.parent.mkdir()
    stamp.write_text("error: Operation not permitted\n")
    os.utime(stamp, (0, WHEN.timestamp()))
    report = FinalizeReport(tmp_path, 1.0)
    assert asyncio.run(report.failure()) == FinalizeFailure("error: Operation not permitted", at=WHEN)
    report.forget_stamp()
    assert not stamp.exists()


@pytest.mark.parametrize(
    ("entry", "failure"),
    [
        ({"MESSAGE": " Failed. ", "__REALTIME_TIMESTAMP": USEC}, FinalizeFailure("Failed.", at=WHEN)),
        ({"MESSAGE": [70, 255], "__REALTIME_TIMESTAMP": USEC}, FinalizeFailure("F\ufffd", at=WHEN)),
        ({"MESSAGE": "Failed."}, FinalizeFailure("Failed.")),
        ({"MESSAGE": "Failed.", "__REALTIME_TIMESTAMP": "soon"}, FinalizeFailure("Failed.")),
        ({"MESSAGE": "Failed.", "__REALTIME_TIMESTAMP": "9" * 30}, FinalizeFailure("Failed.")),
        ({"MESSAGE": None, "__REALTIME_TIMESTAMP": USEC}, None),
        ({"MESSAGE": [70, 999]}, None),
        ({"MESSAGE": ["Failed.", "twice"]}, None),
        ([], None),
    ],
)
def test_an_entry_of_the_journal(entry: object, failure: FinalizeFailure | None) -> None:
    assert read_entry(json.dumps(entry)) == failure


@pytest.mark.parametrize("text", ["", "-- No entries --", "{"])
def test_no_entry(text: str) -> None:
    assert read_entry(text) is None
