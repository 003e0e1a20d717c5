"""The FleetLock server, which limits how many hosts of a group are down at a time. Extra ``tidegate[coordinator]``."""
