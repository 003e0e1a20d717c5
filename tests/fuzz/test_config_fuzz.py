"""A small slice of the configuration fuzzer, the same each time."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz.config_fuzz import fuzz


def test_a_slice_of_the_fuzzer(tmp_path: Path) -> None:
    outcomes = fuzz(300, seed=3, folder=tmp_path)
    assert outcomes.total() == 300
    assert min(outcomes["settings"], outcomes["problems"]) > 10
