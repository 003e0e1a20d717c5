"""Engines: what downloads, stages and switches releases. One file a kind; :mod:`.base` has the protocol."""
