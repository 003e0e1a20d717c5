"""A D-Bus library on dbus-next: connections, calls, signals and exported objects. It knows no service."""
