"""Changes of an update graph. Pure: each function takes a document and returns a document.

Unknown keys are kept, on the graph and on each release. Changes are idempotent: if there is nothing to change, the same
document is returned. A result that hosts would reject is an error (:mod:`.document`).

By default, edges lead from each older release to each newer one. Barriers and dead ends are marks on a release and
remove no edges: hosts evaluate the marks (:meth:`~tidegate.discovery.graph.Graph.offers`), so that lifting one restores
the earlier state.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias, assert_never, cast

from tidegate.discovery.graph import Node
from tidegate.discovery.graph_keys import (
    AGE_INDEX_KEY,
    BARRIER_KEY,
    DEAD_END_KEY,
    DEAD_END_REASON_KEY,
    ROLLBACK_FLOOR_KEY,
    SCHEME_KEY,
)
from tidegate.discovery.rollout import (
    DURATION_KEY,
    ROLLOUT_KEY,
    START_EPOCH_KEY,
    START_VALUE_KEY,
    Rollout,
    rollout_of,
)
from tidegate.engines.registry import scheme_of
from tidegate.helper.arguments import checked_version
from tidegate.publish.document import Document, Edge, Fields
from tidegate.publish.faults import refused

WITHDRAWN_KEY = "org.tidegate.withdrawn"
"""The metadata key with the reason of a withdrawal."""

_ROLLOUT_KEYS = (ROLLOUT_KEY, START_EPOCH_KEY, START_VALUE_KEY, DURATION_KEY)

Metadata = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class FromAll:
    """Edges from every older release."""


@dataclass(frozen=True, slots=True)
class FromLast:
    """Edges from the ``count`` preceding releases."""

    count: int


@dataclass(frozen=True, slots=True)
class FromVersions:
    """Edges from these releases."""

    versions: tuple[str, ...]


Origins: TypeAlias = FromAll | FromLast | FromVersions
ALL = FromAll()


@dataclass(frozen=True, slots=True)
class NewRelease:
    """A release to add. ``age_index`` None: it is the newest. ``rollout`` None: it is offered to all hosts at once."""

    version: str
    payload: str
    origins: Origins = ALL
    age_index: int | None = None
    rollout: Rollout | None = None
    barrier: bool = False
    rollback_floor: str | None = None


def with_release(document: Document, new: NewRelease) -> Document:
    """Add ``new``. A release that the document has already is left as it is, with later changes.

    Raises:
        TidegateError: ``publish.refused``; ``engine.bad-argument`` for a version that hosts reject.
    """
    if _has(document, new):
        return document
    checked_version(new.version)
    age_index = _next_age(document) if new.age_index is None else new.age_index
    node: Fields = {"version": new.version, "payload": new.payload, "metadata": _metadata(document, new, age_index)}
    place = len(document.nodes)
    incoming = [(origin, place) for origin in _origins(document, new.origins, age_index)]
    outgoing = [(place, target) for target in _newer(document, age_index)]
    return document.with_nodes_and_edges([*document.nodes, node], [*document.edges, *incoming, *outgoing])


def withdrawn(document: Document, version: str, reason: str) -> Document:
    """Remove the edges to ``version``. Those from it remain: hosts that run it are updated as before."""
    place = document.place_of(version)
    edges = [edge for edge in document.edges if edge[1] != place]
    return _marked(document, version, {WITHDRAWN_KEY: _checked_reason(reason)}, edges)


def reinstated(document: Document, version: str) -> Document:
    """Lift a withdrawal: add edges from every older release."""
    node, place = document.node(version), document.place_of(version)
    if WITHDRAWN_KEY not in node.metadata:
        return document
    incoming = [(origin, place) for origin in _older(document, node.age_index)]
    return _marked(document, version, {WITHDRAWN_KEY: None}, [*document.edges, *incoming])


def dead_end(document: Document, version: str, reason: str) -> Document:
    """Mark ``version`` as a dead end: its hosts are not updated, and show the reason."""
    return _marked(document, version, {DEAD_END_KEY: "true", DEAD_END_REASON_KEY: _checked_reason(reason)})


def no_dead_end(document: Document, version: str) -> Document:
    """Lift the dead end of ``version``."""
    return _marked(document, version, {DEAD_END_KEY: None, DEAD_END_REASON_KEY: None})


def barrier(document: Document, version: str) -> Document:
    """Mark ``version`` as a barrier: every older host is updated to it before any newer release."""
    return _marked(document, version, {BARRIER_KEY: "true"})


def no_barrier(document: Document, version: str) -> Document:
    """Lift the barrier of ``version``."""
    return _marked(document, version, {BARRIER_KEY: None})


def rolled_out(document: Document, version: str, rollout: Rollout | None) -> Document:
    """Set the rollout of ``version``; None offers it to all hosts at once."""
    none: dict[str, str | None] = dict.fromkeys(_ROLLOUT_KEYS)
    return _marked(document, version, none if rollout is None else {**none, **_rollout_metadata(rollout)})


def paused(document: Document, version: str, now: datetime) -> Document:
    """Stop the rollout of ``version`` at the share that it has reached by ``now``; no host loses its offer.

    Raises:
        TidegateError: ``publish.refused``; it is offered to all hosts already.
    """
    rollout = _under_way(document, version, now)
    if rollout.duration_secs is None:
        return document
    return rolled_out(document, version, Rollout(rollout.start_epoch, rollout.share(now), None))


def reached(document: Document, version: str, now: datetime) -> float:
    """The share of hosts that the rollout of ``version`` has reached by ``now``; raises as :func:`paused`."""
    return _under_way(document, version, now).share(now)


def _under_way(document: Document, version: str, now: datetime) -> Rollout:
    rollout = rollout_of(document.node(version).release)
    if rollout is None or rollout.share(now) >= 1.0:
        remedy = "withdraw the release, or set a rollout with --value"
        raise refused(f"{version} is offered to all hosts: no rollout is in progress", remedy)
    return rollout


def direct_sources(document: Document, version: str) -> Iterator[Node]:
    """The releases whose hosts are offered ``version``, given barriers and dead ends; the newest first."""
    place, payload = document.place_of(version), document.node(version).payload
    sources = {source for source, target in document.edges if target == place}
    nodes = map(document.graph.nodes.__getitem__, sources)
    newest_first = sorted(nodes, key=lambda node: node.age_index, reverse=True)
    return (node for node in newest_first if payload in _offered(document, node))


def is_newest(document: Document, version: str) -> bool:
    """Whether no release that is not withdrawn is newer than ``version``."""
    return not _newer(document, document.node(version).age_index)


def _offered(document: Document, node: Node) -> set[str]:
    return {release.payload for release in document.graph.offers(node.payload).candidates}


def _has(document: Document, new: NewRelease) -> bool:
    """Whether the document has ``new``. Raises if its version or its payload belongs to another release."""
    for node in document.graph.nodes:
        if node.version == new.version and node.payload != new.payload:
            other = f"{node.version} is in the graph already, as {node.payload}"
            raise refused(other, "give the new commit another version")
        if node.payload == new.payload and node.version != new.version:
            raise refused(f"{node.payload} is in the graph already, as {node.version}", "publish another commit")
    return new.version in document.versions


def _next_age(document: Document) -> int:
    return max((node.age_index for node in document.graph.nodes), default=-1) + 1


def _metadata(document: Document, new: NewRelease, age_index: int) -> Metadata:
    return {
        SCHEME_KEY: scheme_of(new.payload),
        AGE_INDEX_KEY: str(age_index),
        **({BARRIER_KEY: "true"} if new.barrier else {}),
        **({ROLLBACK_FLOOR_KEY: _floor(document, new, new.rollback_floor, age_index)} if new.rollback_floor else {}),
        **(_rollout_metadata(new.rollout) if new.rollout else {}),
    }


def _rollout_metadata(rollout: Rollout) -> Metadata:
    duration = {} if rollout.duration_secs is None else {DURATION_KEY: str(rollout.duration_secs // 60)}
    value = repr(float(rollout.start_value))
    return {ROLLOUT_KEY: "true", START_EPOCH_KEY: str(rollout.start_epoch), START_VALUE_KEY: value, **duration}


def _origins(document: Document, origins: Origins, age_index: int) -> Sequence[int]:
    match origins:
        case FromAll():
            return _older(document, age_index)
        case FromLast(count):
            return _older(document, age_index)[-count:] if count else []
        case FromVersions(versions):
            return [_place_of_older(document, version, age_index) for version in dict.fromkeys(versions)]
    assert_never(origins)


def _floor(document: Document, new: NewRelease, version: str, age_index: int) -> str:
    """Check the rollback floor: the release itself, which cannot be rolled back then, or an older one."""
    if version != new.version:
        _place_of_older(document, version, age_index)
    return version


def _place_of_older(document: Document, version: str, age_index: int) -> int:
    age = document.node(version).age_index
    if age >= age_index:
        ages = f"its age index is {age}, that of the new release {age_index}"
        raise refused(f"{version} is not older than the new release: {ages}", "name an older release")
    return document.place_of(version)


def _older(document: Document, age_index: int) -> Sequence[int]:
    """The indices of older releases, the oldest first."""
    nodes = document.graph.nodes
    return sorted((i for i, node in enumerate(nodes) if node.age_index < age_index), key=lambda i: nodes[i].age_index)


def _newer(document: Document, age_index: int) -> Sequence[int]:
    """The indices of newer releases that are not withdrawn."""
    nodes = enumerate(document.graph.nodes)
    return [i for i, node in nodes if node.age_index > age_index and WITHDRAWN_KEY not in node.metadata]


def _marked(
    document: Document, version: str, marks: Mapping[str, str | None], edges: Sequence[Edge] | None = None
) -> Document:
    """The document with ``marks`` in the metadata of ``version``; None removes a key."""
    place = document.place_of(version)
    node = document.nodes[place]
    metadata = {**cast(Metadata, node.get("metadata", {})), **marks}
    kept = {key: value for key, value in metadata.items() if value is not None}
    nodes = [*document.nodes[:place], {**node, "metadata": kept}, *document.nodes[place + 1 :]]
    return document.with_nodes_and_edges(nodes, document.edges if edges is None else edges)


def _checked_reason(reason: str) -> str:
    words = " ".join(reason.split())
    if not words:
        raise refused("the reason is empty", "give a reason, for the operators of hosts to read")
    return words
