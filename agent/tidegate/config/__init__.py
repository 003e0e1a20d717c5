"""A library for configurations: layered TOML snippets, merged into settings with the origin of each value.

The steps: find the snippets in a few folders (:mod:`.layers`), parse each into values by key (:mod:`.fragments`), merge
them (:mod:`.merge`), and check the result (:mod:`.loader`). The library knows no key: the agent's are declared by
their owners and assembled in :mod:`tidegate.settings`, and the coordinator has a table of its own.
"""
