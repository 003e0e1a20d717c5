"""Constants of update graphs: the size limit, and the metadata keys of Fedora CoreOS, whose values are strings.

Source: coreos/fedora-coreos-cincinnati, commons/src/metadata.rs. The keys of rollouts are in :mod:`.rollout`.
"""

from __future__ import annotations

MAX_GRAPH_BYTES = 8 * 1024 * 1024
"""Some 20,000 releases, a hundred times as many as Fedora CoreOS has after years. It bounds the worker's memory."""

SCHEME_KEY = "org.fedoraproject.coreos.scheme"
AGE_INDEX_KEY = "org.fedoraproject.coreos.releases.age_index"
BARRIER_KEY = "org.fedoraproject.coreos.updates.barrier"
DEAD_END_KEY = "org.fedoraproject.coreos.updates.deadend"
DEAD_END_REASON_KEY = "org.fedoraproject.coreos.updates.deadend_reason"

ROLLBACK_FLOOR_KEY = "org.tidegate.rollback-floor"
"""This project's own key: the version below which a host must not roll back automatically from the release, because
its data has been migrated."""

AGE_INDEX_MAX_DIGITS = 18
"""Keeps an index within a signed 64-bit integer, as in records and on D-Bus."""
