"""Reports on the agent's state, for people and programs. Nothing here can reach a reboot."""
