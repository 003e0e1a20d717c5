"""Gates: everything that may hold a reboot back, strategies included. One file each; :mod:`.base` has the protocol."""
