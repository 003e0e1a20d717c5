"""An engine as one file: its entry, its keys, and as much of it as a registry sees."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tidegate.config.keys import key
from tidegate.config.kinds.scalar import Integer
from tidegate.engines.entry import EngineEntry


@dataclass(frozen=True, slots=True)
class PaperSettings:
    """``[engine.paper]``."""

    pages: int = key(1, Integer(1, 999), "The pages of a release.")


class Paper:
    """Releases are pages."""

    name = "paper"

    def __init__(self, settings: PaperSettings) -> None:
        self.pages = settings.pages


ENTRY = EngineEntry(
    "paper",
    detect=lambda facts: not facts.ostree_booted,
    payload=re.compile(r"page-[0-9]+"),
    scheme="page",
    opener="tidegate.engines.entries.paper:Paper",
    section=PaperSettings,
)
