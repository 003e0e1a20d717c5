"""Metrics of a host, made from the agent's snapshot by processes of their own: the agent counts nothing."""
