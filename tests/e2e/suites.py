"""Which Debian suites the tests boot."""

from __future__ import annotations

import os

import pytest

from tests.e2e.lab.debian import SUITES

SUITES_VARIABLE = "TIDEGATE_LAB_SUITES"


def chosen_suites() -> list[str]:
    """The suites to test, all unless ``TIDEGATE_LAB_SUITES`` (names with spaces or commas between) says otherwise."""
    named = os.environ.get(SUITES_VARIABLE, "").replace(",", " ").split()
    return named or list(SUITES)


on_one_suite = pytest.mark.parametrize("suite", [chosen_suites()[0]], indirect=True)
"""For stories in which the versions of systemd and ostree have no part: one suite tells as much as two."""
