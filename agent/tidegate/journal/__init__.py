"""Logging to the journal: its native protocol, the entries of a process, and the suppression of repeated ones."""
