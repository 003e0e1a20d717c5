"""Gates: everything that may hold a reboot back, strategies included.

One file each, with its specification (``SPEC``), its keys and its class; :mod:`.base` has the protocol and
:mod:`.registry` finds the specifications. A new gate is one new file.
"""
