"""Plain OSTree, driven by the command ``ostree``."""

from __future__ import annotations

import re

from tidegate.engines.entry import CHECKSUM_SCHEME, EngineEntry
from tidegate.engines.facts import Owner, owner_of

ENTRY = EngineEntry(
    "ostree",
    detect=lambda facts: owner_of(facts) is Owner.OSTREE,
    payload=re.compile(r"[0-9a-f]{64}"),
    scheme=CHECKSUM_SCHEME,
    opener="tidegate.engines.ostree:OstreeEngine.for_host",
    doctor="tidegate.doctor.engine:examine_ostree",
    rank=0,
)
