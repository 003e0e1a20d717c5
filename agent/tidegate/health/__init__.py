"""Health checks, and the verdict on a boot.

:mod:`.checks` has one file for each kind of check that can be configured, with its specification and keys; a new kind
is one new file there. :mod:`.check` has the protocol.
"""
