"""The audit log: one line for each thing that somebody did to a lock, or tried to. No secret ever passes here."""

from __future__ import annotations

import json
import logging
import re

from tidegate.coordinator.model import Happening

_log = logging.getLogger("tidegate.audit")

_PLAIN = re.compile(r"[A-Za-z0-9_.:@/+-]+")


def happened(happening: Happening) -> None:
    """A slot changed hands."""
    record(happening.what, group=happening.group, id=happening.id, by=happening.by, detail=happening.detail)


def record(what: str, **facts: str) -> None:
    """``audit what=taken group=workers id=... by=... detail="..."``; facts without a value are left out."""
    told = " ".join(f"{name}={_value(fact)}" for name, fact in facts.items() if fact)
    _log.info("audit what=%s %s", what, told)


def _value(text: str) -> str:
    """As it is, or as a JSON string, so that nothing that a client says can look like another field or line."""
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
