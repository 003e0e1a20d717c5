"""Layered TOML that explains itself.

Snippets in a few folders (:mod:`.layers`) are parsed and sorted by key (:mod:`.fragments`), merged with their origins
(:mod:`.merge`) and checked into settings (:mod:`.loader`). :mod:`.settings` is the one table of the agent's keys; the
coordinator brings a table of its own.
"""

from __future__ import annotations

from tidegate.config.loader import DEFAULT_ROOTS, Loaded, load
from tidegate.config.problems import Problem
from tidegate.config.settings import Settings

__all__ = ["DEFAULT_ROOTS", "Loaded", "Problem", "Settings", "load"]
