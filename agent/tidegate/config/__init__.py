"""Load the configuration: layered TOML snippets, merged into settings with the origin of each value.

The steps: find the snippets in a few folders (:mod:`.layers`), parse each into values by key (:mod:`.fragments`), merge
them (:mod:`.merge`), and check the result (:mod:`.loader`). :mod:`.settings` is the table of the agent's keys; the
coordinator has a table of its own.
"""

from __future__ import annotations

from tidegate.config.loader import DEFAULT_ROOTS, Loaded, load
from tidegate.config.problems import Problem
from tidegate.config.settings import Settings

__all__ = ["DEFAULT_ROOTS", "Loaded", "Problem", "Settings", "load"]
