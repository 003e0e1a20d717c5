"""Health checks, and the verdict on a boot. One file for each kind of check; :mod:`.check` has the protocol."""
