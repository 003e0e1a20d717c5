"""Strategies: when finalization may happen. One file each."""
