"""The agent's D-Bus service, ``org.tidegate.Agent1``: methods, properties, and the client of the command line."""
