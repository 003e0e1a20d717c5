"""The FleetLock protocol (:mod:`.protocol`, shared with the coordinator) and the agent's client of it."""
