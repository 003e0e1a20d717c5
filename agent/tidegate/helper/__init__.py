"""The root helper: every service that runs as root and answers requests of the agent."""
