"""The etcd store: groups as keys, changed by compare-and-swap over etcd's JSON gateway."""
