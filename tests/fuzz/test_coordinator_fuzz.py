"""A small slice of the coordinator's fuzzer, the same each time."""

from __future__ import annotations

from tests.fuzz.coordinator_fuzz import fuzz


def test_a_slice_of_the_fuzzer() -> None:
    seen, failure = fuzz(60, seed=3)
    assert failure is None
    assert seen.total() == 60
    assert seen["200"] > 0
    assert seen["400"] > 0
