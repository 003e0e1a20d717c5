"""Clients of the D-Bus services that the agent uses: logind, systemd, polkit, timedated."""
