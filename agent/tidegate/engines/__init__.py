"""Engines, which download, stage and switch releases: :mod:`.base` has the protocol, :mod:`.registry` the list."""
