"""Where semaphores are kept: :mod:`.etcd` for several coordinators, :mod:`.sqlite` for one."""
