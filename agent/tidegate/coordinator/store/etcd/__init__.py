"""The store in etcd, over its JSON gateway."""
