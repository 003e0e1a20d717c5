"""Kinds of configuration values: how each is checked, parsed and shown."""
