"""How long a large update graph takes: ``python -m tests.bench.discovery_bench``.

Prints the best and the median of several runs, in CPU time of this process, but for the last row: that is a whole check
as the agent has it, on the wall clock, with the start of a worker.
"""

from __future__ import annotations

import asyncio
import gc
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from tidegate.discovery.base import Offers
from tidegate.discovery.graph import MAX_GRAPH_BYTES, Graph, parse_graph
from tidegate.discovery.graph_keys import AGE_INDEX_KEY, SCHEME_KEY
from tidegate.discovery.policy import Rules, choose
from tidegate.discovery.rollout import DURATION_KEY, ROLLOUT_KEY, START_EPOCH_KEY, START_VALUE_KEY, phased
from tidegate.discovery.static_graph import StaticGraph
from tidegate.identity import HostIdentity
from tidegate.net.client import NetClient

NODES = 10_000
WAYS = 4
"""Edges from each release: to the next ones."""

RUNS = 15
NOW = datetime(2026, 11, 21, tzinfo=UTC)
NODE_UUID = "e0f3745b108f471cbd4883c6fbed8cdd"
OLDEST = f"{0:064x}"


def main() -> None:
    """Run everything and print the table."""
    text = graph_text(NODES)
    print(f"{NODES:,} releases, {NODES * WAYS:,} edges, {len(text) / 1e6:.1f} MB (of {MAX_GRAPH_BYTES / 1e6:.1f} MB)")
    print(f"{'what':<52}{'best':>12}{'median':>12}  aim")
    graph = parse_graph(text)
    gc.disable()  # as the worker does
    _report("JSON alone", _timed(lambda: json.loads(text)), "")
    _report("parse and check", _timed(lambda: parse_graph(text)), "")
    _report("offers, rollouts and choice", _timed(lambda: _choose(graph)), "")
    _report("parse and choose", _timed(lambda: _choose(parse_graph(text))), "100 ms")
    gc.enable()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "graph.json"
        file.write_bytes(text)
        _report("a whole check of a file, in a worker (wall clock)", _checks(file), "")


def graph_text(nodes: int) -> bytes:
    """A graph as Fedora CoreOS has them, each release in a rollout of two days."""
    releases = [
        {
            "version": f"42.{20260101 + place}.3.0",
            "payload": f"{place:064x}",
            "metadata": {
                AGE_INDEX_KEY: str(place),
                SCHEME_KEY: "checksum",
                ROLLOUT_KEY: "true",
                START_EPOCH_KEY: str(int(NOW.timestamp()) - 3600),
                START_VALUE_KEY: "0.1",
                DURATION_KEY: "2880",
            },
        }
        for place in range(nodes)
    ]
    edges = [[place, min(place + way, nodes - 1)] for place in range(nodes - 1) for way in range(1, WAYS + 1)]
    return json.dumps({"nodes": releases, "edges": edges}).encode()


def _choose(graph: Graph) -> Graph:
    offers: Offers = phased(graph.offers(OLDEST), NODE_UUID, NOW)
    assert len(offers.candidates) + len(offers.deferred) == WAYS
    choose(offers, Rules(denied={}))
    return graph


def _checks(file: Path) -> list[float]:
    host = HostIdentity("default", "x86_64", node_uuid=NODE_UUID)
    discovery = StaticGraph(file.as_uri(), NetClient(), host)
    took: list[float] = []
    for _ in range(RUNS):
        start = time.perf_counter()
        asyncio.run(discovery.find(OLDEST, "42"))
        took.append(time.perf_counter() - start)
    return took


def _timed(do: Callable[[], object]) -> list[float]:
    took: list[float] = []
    for _ in range(RUNS):
        start = time.process_time()
        kept = do()
        took.append(time.process_time() - start)
        del kept  # on nobody's time: a worker ends, and takes nothing apart
    return took


def _report(name: str, took_secs: list[float], aim: str) -> None:
    print(f"{name:<52}{_human(min(took_secs)):>12}{_human(statistics.median(took_secs)):>12}  {aim}")


def _human(secs: float) -> str:
    return f"{secs * 1e3:.1f} ms" if secs >= 1e-3 else f"{secs * 1e6:.1f} us"


if __name__ == "__main__":
    main()
