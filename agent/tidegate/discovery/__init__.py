"""Discovery: where candidates for the next release come from. One file a kind; :mod:`.base` has the protocol."""
