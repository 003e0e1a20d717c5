"""The journal: its native protocol, the agent's log entries, and the folding of repeated ones."""
