"""The workload: the systemd units that a host runs for its users, which an update may stop and start."""
