"""The operating system's interfaces: files, processes, boots, timers, sd_notify."""
