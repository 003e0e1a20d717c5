"""Find the first fault in an invalid update graph, node by node and edge by edge. Pure.

Only graphs that failed the validation of :mod:`.graph` are checked here: that one works column by column, which is much
faster but does not tell the place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Never, TypeGuard, cast

from tidegate.discovery.graph_keys import AGE_INDEX_KEY, AGE_INDEX_MAX_DIGITS
from tidegate.errors import ErrorKind, TidegateError

_SHOWN_CHARS = 60
_SHOWN_CYCLE = 5
_REMEDY = "the publisher of the graph has to correct it"


def explain(nodes: Sequence[object], edges: Sequence[object]) -> Never:
    """Find the fault in a graph of these ``nodes`` and ``edges``.

    Raises:
        TidegateError: always, ``discovery.nonsense`` with the place (``nodes[3].payload``).
    """
    names = [check_node(index, node) for index, node in enumerate(nodes)]
    _refuse_duplicates("version", (version for version, _ in names))
    _refuse_duplicates("payload", (payload for _, payload in names))
    for index, edge in enumerate(edges):
        check_edge(index, edge, len(nodes))
    refuse("it is invalid, and the place cannot be told")


def refuse_cycles(versions: Sequence[str], edges: Iterable[tuple[int, int]]) -> None:
    """Check that the graph has no cycle, by Kahn's algorithm: remove nodes without incoming edges until none is left.

    Raises:
        TidegateError: ``discovery.nonsense``, with the cycle.
    """
    successors: list[list[int]] = [[] for _ in versions]
    incoming = [0] * len(versions)
    for source, target in edges:
        successors[source].append(target)
        incoming[target] += 1
    free = [place for place, count in enumerate(incoming) if not count]
    while free:
        for target in successors[free.pop()]:
            incoming[target] -= 1
            if not incoming[target]:
                free.append(target)
    if any(incoming):
        _name_cycle(versions, _find_cycle(successors, incoming))


def refuse(what: str) -> Never:
    """Refuse the graph.

    Raises:
        TidegateError: always, ``discovery.nonsense``.
    """
    raise TidegateError(ErrorKind.DISCOVERY_NONSENSE, what, _REMEDY)


def shown(value: object) -> str:
    """``value`` for a message: short, on one line, without control characters."""
    text = ascii(value) if isinstance(value, str | int | float | None) else f"a {type(value).__name__}"
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."


def as_object(value: object, where: str) -> dict[str, object]:
    """``value`` as a JSON object.

    Raises:
        TidegateError: ``discovery.nonsense``; it is not an object.
    """
    if not isinstance(value, dict):
        refuse(f"{where} is {shown(value)}, not an object")
    return cast(dict[str, object], value)


def check_node(index: int, node: object) -> tuple[str, str]:
    """Return version and payload of the node with this number.

    Raises:
        TidegateError: ``discovery.nonsense``, with the fault.
    """
    where = f"nodes[{index}]"
    fields = as_object(node, where)
    names = _name(fields, "version", where), _name(fields, "payload", where)
    metadata = _metadata(fields, where)
    _check_age_index(metadata, where)
    return names


def _name(fields: Mapping[str, object], key: str, where: str) -> str:
    value = fields.get(key)
    if value is None:
        refuse(f"{where}.{key} is missing")
    if not (isinstance(value, str) and value and value.isprintable()):
        refuse(f"{where}.{key} is {shown(value)}, not a line of text")
    return value


def _metadata(fields: Mapping[str, object], where: str) -> dict[str, str]:
    metadata = as_object(fields.get("metadata", {}), f"{where}.metadata")
    for key, value in metadata.items():
        if not isinstance(value, str):
            refuse(f"{where}.metadata[{shown(key)}] is {shown(value)}, not text")
        if any("\ud800" <= char <= "\udfff" for char in key + value):  # neither files nor D-Bus can hold them
            refuse(f"{where}.metadata[{shown(key)}] holds half of a surrogate pair")
    return cast(dict[str, str], metadata)


def _check_age_index(metadata: Mapping[str, str], where: str) -> None:
    digits = metadata.get(AGE_INDEX_KEY)
    if digits is None:
        refuse(f"{where}.metadata[{AGE_INDEX_KEY!r}] is missing")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= AGE_INDEX_MAX_DIGITS):
        refuse(f'{where}.metadata[{AGE_INDEX_KEY!r}] is {shown(digits)}, not a number in quotes such as "12"')


def _refuse_duplicates(key: str, values: Iterable[str]) -> None:
    seen: dict[str, int] = {}
    for index, value in enumerate(values):
        first = seen.setdefault(value, index)
        if first != index:
            refuse(f"nodes[{first}] and nodes[{index}] have the same {key} {shown(value)}")


def check_edge(index: int, edge: object, node_count: int) -> tuple[int, int]:
    """Return the ends of the edge with this number, in a graph of so many nodes.

    Raises:
        TidegateError: ``discovery.nonsense``, with the fault.
    """
    if not _is_pair(edge):
        refuse(f"edges[{index}] is {shown(edge)}, not a pair of node numbers")
    source, target = edge
    if not (0 <= source < node_count and 0 <= target < node_count):
        refuse(f"edges[{index}] is {shown(edge)}, but the nodes are numbered 0 to {node_count - 1}")
    if source == target:
        refuse(f"edges[{index}] leads from nodes[{source}] to itself")
    return source, target


def _is_pair(edge: object) -> TypeGuard[list[int]]:
    """Whether ``edge`` is a list of two integers. In Python bool is a subclass of int: ``true`` would pass for 1."""
    if not isinstance(edge, list):
        return False
    ends = cast(list[object], edge)
    return len(ends) == 2 and type(ends[0]) is int and type(ends[1]) is int


def _find_cycle(successors: Sequence[Sequence[int]], incoming: Sequence[int]) -> list[int]:
    """A cycle among the nodes that still have ``incoming`` edges: each has a predecessor there, so walk backwards."""
    predecessor = dict(_remaining_edges(successors, incoming))
    place, walked = next(iter(predecessor)), dict[int, None]()
    while place not in walked:
        walked[place] = None
        place = predecessor[place]
    backwards = list(walked)
    return backwards[backwards.index(place) :][::-1]


def _remaining_edges(successors: Sequence[Sequence[int]], incoming: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The edges between remaining nodes, each as its target and its source."""
    return ((t, s) for s, targets in enumerate(successors) if incoming[s] for t in targets if incoming[t])


def _name_cycle(versions: Sequence[str], cycle: Sequence[int]) -> Never:
    path = " -> ".join(f"nodes[{i}] {shown(versions[i])}" for i in cycle[:_SHOWN_CYCLE])
    refuse(f"{len(cycle)} releases form a cycle: {path}{' ...' if len(cycle) > _SHOWN_CYCLE else ' -> back'}")
