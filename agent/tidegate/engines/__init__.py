"""Engines, which download, stage and switch releases: :mod:`.base` has the protocol.

:mod:`.entries` has one file for each engine, with what the package needs to know about it; :mod:`.registry` finds them.
"""
