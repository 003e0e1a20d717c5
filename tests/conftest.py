"""Fixtures and settings for all tests."""

from __future__ import annotations

import os
import time
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

from tests.fakes.private_bus import PrivateBus, private_bus

# Texts for people have local time beside UTC where the two differ: here they do not, wherever the tests run.
os.environ["TZ"] = "UTC"
time.tzset()

settings.register_profile(
    "tidegate",
    max_examples=50,  # other ones at each run
    deadline=None,  # neither an example nor the making of one may fail for being slow: machines are busy
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,  # examples are random; a failure prints the line that repeats it
)
settings.load_profile("tidegate")


LONGEST = "test_power_cut.py"
"""A file whose one test takes minutes: it comes first, so that nobody waits for it at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest test first; the others stay in their order."""
    items.sort(key=lambda item: item.path.name != LONGEST)


@pytest.fixture(scope="module")
def address() -> Generator[str]:
    """The address of a real dbus-daemon, one for all tests of a file that leave it as it is."""
    with private_bus() as bus:
        yield bus.address


@pytest.fixture
def daemon() -> Generator[PrivateBus]:
    """A real dbus-daemon for one test, which may break it or need its names."""
    with private_bus() as bus:
        yield bus
