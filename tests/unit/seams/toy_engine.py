"""An engine as one file: its entry, and as much of it as a registry sees."""

from __future__ import annotations

import re

from tidegate.engines.entry import EngineEntry


class Paper:
    """Releases are pages."""

    name = "paper"


ENTRY = EngineEntry(
    "paper",
    detect=lambda facts: not facts.ostree_booted,
    payload=re.compile(r"page-[0-9]+"),
    scheme="page",
    opener="tidegate.engines.entries.paper:Paper",
)
