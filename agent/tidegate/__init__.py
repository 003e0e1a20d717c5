"""Tidegate: an update agent for whole hosts.

Start with :mod:`tidegate.app` (what is wired to what), then :mod:`tidegate.machine` (every decision, free of I/O).
"""

__version__ = "0.1.0"
