"""Interfaces of the operating system: files, child processes, boots, timers, sd_notify."""
