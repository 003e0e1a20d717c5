"""The root helper: everything that runs as root on behalf of the agent, in one package for auditing."""
