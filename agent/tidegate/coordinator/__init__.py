"""The FleetLock server: how many hosts of a group may be down at a time. Extra ``tidegate[coordinator]``."""
