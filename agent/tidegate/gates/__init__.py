"""Whatever may hold a reboot. One file a gate; :mod:`.base` has the protocol."""
