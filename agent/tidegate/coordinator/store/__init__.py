"""Stores of documents with compare-and-swap: :mod:`.etcd` for several coordinators, :mod:`.sqlite` for one."""
