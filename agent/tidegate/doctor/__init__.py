"""The doctor: what keeps this host from being updated, and what to do about it. One file an area.

Looking is all that happens here: files are read, services are asked what they are, servers are connected to. Nothing is
written, no lock is taken, no unit is started but what the bus starts for a question (polkitd, timedated), and nothing
in this package can be told to reboot, to arm or to stage. In each file what is read stands apart from what is made of
it, which is pure.
"""
