"""Sign update graphs (TUF). Hosts verify them in :mod:`tidegate.discovery.signed_graph`."""
