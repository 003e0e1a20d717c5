"""An update graph: its largest size, and the metadata of its releases, as Fedora CoreOS names them; all are texts.

Source: coreos/fedora-coreos-cincinnati, commons/src/metadata.rs. Those of rollouts are in :mod:`.rollout`.
"""

from __future__ import annotations

MAX_GRAPH_BYTES = 8 * 1024 * 1024
"""Some 20,000 releases, a hundred times what Fedora CoreOS has after years. The worker's memory grows with it."""

SCHEME_KEY = "org.fedoraproject.coreos.scheme"
AGE_INDEX_KEY = "org.fedoraproject.coreos.releases.age_index"
BARRIER_KEY = "org.fedoraproject.coreos.updates.barrier"
DEAD_END_KEY = "org.fedoraproject.coreos.updates.deadend"
DEAD_END_REASON_KEY = "org.fedoraproject.coreos.updates.deadend_reason"

ROLLBACK_FLOOR_KEY = "org.tidegate.rollback-floor"
"""This project's own: the version below which a host must not go back from the release by itself, as its data has
moved on."""

AGE_INDEX_MAX_DIGITS = 18
"""Keeps an index within the signed 64 bits that records and the bus have for it."""
