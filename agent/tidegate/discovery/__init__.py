"""Sources of updates, one module for each kind; :mod:`.base` has their protocol.

The agent's side is :mod:`.cincinnati`, :mod:`.static_graph` and :mod:`.native`; the net-worker's side is
:mod:`.request` with :mod:`.fetching`, :mod:`.graph` and :mod:`.signed_graph`.
"""
