"""A small slice of the fuzzer of the agent's D-Bus service, the same each time."""

from __future__ import annotations

import logging

import pytest

from tests.fuzz.dbus_fuzz import fuzz


def test_a_slice_of_the_fuzzer(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.CRITICAL):
        outcomes = fuzz(300, seed=5)
    assert outcomes.total() == 300
    for name in ("answered", "org.tidegate.Error.Internal", "org.tidegate.Error.AgentBadRequest"):
        assert outcomes[name] > 5, outcomes
