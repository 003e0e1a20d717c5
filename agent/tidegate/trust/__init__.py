"""Signing update graphs, for those who publish them. What hosts do with it is in :mod:`tidegate.net.signed_graph`."""
