"""Kinds of configuration values: how each is checked, read and written."""
