"""D-Bus: :mod:`.connection` alone imports dbus-next; wire types stop in this folder."""
