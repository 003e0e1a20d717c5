"""One private bus for all tests of a file that do not break it."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.fakes.private_bus import private_bus


@pytest.fixture(scope="module")
def address() -> Generator[str]:
    """Where a real dbus-daemon listens."""
    with private_bus() as bus:
        yield bus.address
