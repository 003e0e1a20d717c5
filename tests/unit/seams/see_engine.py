"""What is known of an engine: imported by :mod:`.observe`."""

from __future__ import annotations

from pathlib import Path

from tidegate.config.keys import keys_of
from tidegate.engines import registry
from tidegate.engines.settings import Engine


def found(root: Path) -> dict[str, object]:
    """The registry's answers, and the values of ``engine.kind``."""
    entry = registry.find("paper")
    assert entry is not None
    (kind,) = keys_of(Engine)
    return {
        "names": registry.NAMES,
        "opened": entry.open().name,
        "scheme": registry.scheme_of("page-7"),
        "payloads": [registry.is_payload("paper", payload) for payload in ("page-7", "7")],
        "kinds": kind.kind.wanted,
    }
