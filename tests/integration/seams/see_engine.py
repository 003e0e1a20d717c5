"""What is known of an engine: imported by :mod:`.observe`."""

from __future__ import annotations

from pathlib import Path

from tidegate.config.keys import keys_of
from tidegate.engines import registry
from tidegate.engines.settings import EngineSettings
from tidegate.settings import load


def found(root: Path) -> dict[str, object]:
    """The registry's answers, the values of ``engine.kind``, and the engine with its settings."""
    settings = load([root]).settings
    assert settings is not None
    entry = registry.find("paper")
    assert entry is not None
    assert entry.section is not None
    (kind,) = keys_of(EngineSettings)
    return {
        "names": registry.NAMES,
        "opened": entry.open().name,
        "pages": [vars(entry.open(section))["pages"] for section in (None, settings.of(entry.section))],
        "scheme": registry.scheme_of("page-7"),
        "payloads": [registry.is_payload("paper", payload) for payload in ("page-7", "7")],
        "kinds": kind.kind.wanted,
    }
