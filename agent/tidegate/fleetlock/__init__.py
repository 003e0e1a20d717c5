"""FleetLock: the protocol, and the agent's client of it."""
