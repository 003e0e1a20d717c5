"""Health: whether a boot is well. One file a check."""
