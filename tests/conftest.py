"""Private buses: one for all tests of a file that do not break it, or one for a test alone."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.fakes.private_bus import PrivateBus, private_bus


@pytest.fixture(scope="module")
def address() -> Generator[str]:
    """Where a real dbus-daemon listens."""
    with private_bus() as bus:
        yield bus.address


@pytest.fixture
def daemon() -> Generator[PrivateBus]:
    """A bus of one's own, for a test that breaks it or needs its names."""
    with private_bus() as bus:
        yield bus
