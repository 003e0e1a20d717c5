"""Sign update graphs, for those who publish them; hosts verify them in :mod:`tidegate.discovery.signed_graph`."""
