"""Records: all that survives the agent's process and the host's boot."""
