"""The coordinator's HTTP side: FleetLock, the operators' API, health and metrics."""
