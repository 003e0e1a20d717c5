"""``python -m tests.bench.coordinator_bench``: what the lock server does in a second, how long one waits for it.

Needs ``etcd`` (Debian: etcd-server); no root. Everything is whole: over HTTP on loopback, on one etcd that syncs to
disk, or SQLite. Medians of several runs, with yardsticks of the same minutes, so that ratios travel.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from starlette.types import Receive, Scope, Send

from tests.bench.coordinator_load import (
    FULL,
    HOSTS_AN_HOUR,
    HOSTS_WAITING,
    HUGE,
    LOADERS,
    POLLS_AN_HOUR,
    REQUESTS_A_SECOND,
    SLOTS,
    closed,
    fleet_hours,
    in_turn,
    lock_all,
    tight,
)
from tests.cluster.nodes import Node, coordinator, lone_member, snippet
from tests.cluster.wire import Connection

CHECKOUT = Path(__file__).resolve().parents[2]
CLIENTS = (1, 10, 100, 1000)
REFERENCE = {1: 103.0, 10: 80.0, 100: 8.1, 1000: 2.4}
"""Cycles a second of the reference server (airlock a3585ed), measured on such a machine with such a load."""

FEW_HOLDERS, MANY_HOLDERS = 10, 10_000
Row = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """How much of it. ``secs`` of each run; ``runs`` of which the median counts."""

    runs: int
    secs: float
    open_secs: float
    hours: float


class Server:
    """A coordinator under test, from outside."""

    def __init__(self, node: Node, port: int) -> None:
        self._node = node
        self.port = port

    @property
    def rss_mib(self) -> float:
        """Resident memory."""
        return _status_kib(self._pid, "VmRSS") / 1024

    @property
    def cpu_secs(self) -> float:
        """Processor time so far."""
        fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def connection(self) -> Connection:
        """One more client."""
        return Connection("127.0.0.1", self.port)

    @property
    def _pid(self) -> int:
        assert self._node.process is not None
        return self._node.process.pid


async def noop(scope: Scope, receive: Receive, send: Send) -> None:
    """The yardstick of HTTP: an ASGI application that does nothing (uvicorn loads it from here)."""
    if scope["type"] == "http":
        await receive()
        headers = [(b"content-length", b"2"), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.coordinator_bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--secs", type=float, default=5.0, help="of each closed loop")
    parser.add_argument("--open-secs", type=float, default=20.0, help="of the open loop")
    parser.add_argument("--hours", type=float, default=1.0, help="a fleet's hours to go through at full speed")
    parser.add_argument("--store", choices=("etcd", "sqlite"), help="only one")
    given = parser.parse_args()
    wanted = Wanted(given.runs, given.secs, given.open_secs, given.hours)
    _print_row(("figure", "median", "yardstick", "ratio"))
    for store in [given.store] if given.store else ["etcd", "sqlite"]:
        for row in _rows(store, wanted):
            _print_row(row)
    return 0


def _rows(store: str, wanted: Wanted) -> Iterator[Row]:
    yield from _closed_rows(store, wanted)
    yield from _open_rows(store, wanted)
    yield from _memory_rows(store, wanted)


def _closed_rows(store: str, wanted: Wanted) -> Iterator[Row]:
    for clients in CLIENTS:
        with _serving(store) as server:
            asyncio.run(closed(server.connection, clients, 1.0))  # connections, caches
            runs = [asyncio.run(closed(server.connection, clients, wanted.secs)) for _ in range(wanted.runs)]
        cycles = statistics.median(run.cycles_a_second for run in runs)
        median, p99 = (statistics.median(getattr(run, name) for run in runs) for name in ("median_ms", "p99_ms"))
        yield (
            f"{store}: {clients} clients, cycles/s (request {median:.1f} / p99 {p99:.0f} ms)",
            f"{cycles:.0f}",
            f"reference server {REFERENCE[clients]:g}",
            f"{cycles / REFERENCE[clients]:.1f}",
        )
    puts, requests = _yardsticks(wanted)
    yield "yardstick: one client's puts/s, bare etcd", f"{puts:.0f}", "", ""
    yield f"yardstick: requests/s by {LOADERS} clients, no-op ASGI", f"{requests:.0f}", "", ""


def _open_rows(store: str, wanted: Wanted) -> Iterator[Row]:
    with _serving(store) as server:
        asyncio.run(lock_all(server.connection, FULL, 1))
        before, begun = server.cpu_secs, time.monotonic()
        runs = [asyncio.run(in_turn(server.connection, wanted.open_secs)) for _ in range(wanted.runs)]
        load = (server.cpu_secs - before) / (time.monotonic() - begun)
    p99 = statistics.median(run.p99_ms for run in runs)
    median, worst = statistics.median(run.median_ms for run in runs), max(run.worst_ms for run in runs)
    what = f"{store}: {HOSTS_WAITING} hosts wait, {REQUESTS_A_SECOND} denials/s, p99 ms"
    yield what, f"{p99:.1f}", f"median {median:.1f}, worst of all {worst:.0f}", f"CPU {load:.2f}"


def _memory_rows(store: str, wanted: Wanted) -> Iterator[Row]:
    with _serving(store) as server:
        asyncio.run(lock_all(server.connection, HUGE, FEW_HOLDERS))
        few = server.rss_mib
        yield f"{store}: RSS at {FEW_HOLDERS} holders (MiB)", f"{few:.1f}", "", ""
        begun = time.monotonic()
        asyncio.run(lock_all(server.connection, HUGE, MANY_HOLDERS))
        secs = time.monotonic() - begun
        many = server.rss_mib
        yield (
            f"{store}: RSS at {MANY_HOLDERS} holders (MiB)",
            f"{many:.1f}",
            f"filled in {secs:.0f} s",
            f"{many / few:.2f}",
        )
        asyncio.run(lock_all(server.connection, FULL, 1))
        marks = [_after_hours(server, wanted.hours / 4) for _ in range(4)]
    requests = HOSTS_AN_HOUR * POLLS_AN_HOUR * wanted.hours
    course = " ".join(f"{mark:.1f}" for mark in marks)
    what = f"{store}: RSS after {requests:.0f} requests more (MiB)"
    yield what, f"{marks[-1]:.1f}", f"by quarters {course}", f"{marks[-1] / marks[0]:.2f}"


def _after_hours(server: Server, hours: float) -> float:
    asyncio.run(fleet_hours(server.connection, hours))
    return server.rss_mib


def _yardsticks(wanted: Wanted) -> tuple[float, float]:
    """A client's puts a second at etcd, and requests a second at an application that does nothing."""
    with _etcd() as port:
        body = b'{"key":"eQ==","value":"' + b"eQ==" * 32 + b'"}'
        puts = [asyncio.run(tight(port, 1, "/v3/kv/put", body, wanted.secs)) for _ in range(wanted.runs)]
    with _nothing() as port:
        body = b'{"client_params":{"id":"00000000000000000000000000000000","group":"roomy"}}'
        noops = [asyncio.run(tight(port, LOADERS, "/v1/pre-reboot", body, wanted.secs)) for _ in range(wanted.runs)]
    return statistics.median(puts), statistics.median(noops)


@contextmanager
def _serving(store: str) -> Generator[Server]:
    """A coordinator on a store that is empty."""
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-") as name:
        folder = Path(name)
        if store == "sqlite":
            with _coordinator(folder, f"sqlite:{folder / 'locks.db'}") as server:
                yield server
        else:
            with _etcd() as port, _coordinator(folder, f"etcd://127.0.0.1:{port}") as server:
                yield server


@contextmanager
def _coordinator(folder: Path, store: str) -> Generator[Server]:
    port = _free_port()
    config = folder / "coordinator.d"
    config.mkdir()
    (config / "50-bench.toml").write_text(snippet(listen=f"127.0.0.1:{port}", store=store, slots=SLOTS))
    node = coordinator("coordinator", config, f"http://127.0.0.1:{port}", folder / "log")
    with _running(node, "/healthz"):
        yield Server(node, port)


@contextmanager
def _etcd() -> Generator[int]:
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-etcd-") as folder:
        port = _free_port()
        with _running(lone_member(Path(folder), port, _free_port()), "/health"):
            yield port


@contextmanager
def _nothing() -> Generator[int]:
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-") as folder:
        port = _free_port()
        command = [sys.executable, "-m", "uvicorn", "tests.bench.coordinator_bench:noop", f"--port={port}"]
        command += ["--log-level=error", "--lifespan=off"]
        with _running(Node("noop", command, f"http://127.0.0.1:{port}", Path(folder) / "log"), "/"):
            yield port


@contextmanager
def _running(node: Node, path: str) -> Generator[None]:
    node.start()
    try:
        node.wait_ready(path)
        yield
    finally:
        node.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _status_kib(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def _print_row(row: Row) -> None:
    print("{:<66}{:>10}{:>34}{:>10}".format(*row), flush=True)


if __name__ == "__main__":
    sys.exit(main())
