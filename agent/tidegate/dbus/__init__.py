"""D-Bus: :mod:`.bus` alone imports dbus-next; wire types stop in this folder."""
