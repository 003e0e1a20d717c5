"""Throws broken requests at the coordinator: ``python -m tests.fuzz.coordinator_fuzz [--count N] [--seed N]``.

Whole requests, byte by byte as they arrive on a socket, at the real HTTP server: valid ones, mangled. Each is answered
or hung up on within seconds; an answer has a status of the protocol, the extension's header and, unless it is a yes, an
error object from the closed set; nothing is 500; and the server answers a good request afterwards. Where one fails, the
seed and the bytes are told.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.fakes.bad_requests import GOOD_BODY
from tests.fakes.locks_at import local, locks_opener
from tests.fakes.memory_locks import MemoryLocks
from tests.fakes.running_coordinator import Running, running
from tidegate.clock import SystemClock
from tidegate.coordinator.model import DenialKind
from tidegate.coordinator.web.replies import STATUS
from tidegate.fleetlock.protocol import Verb

DEFAULT_COUNT = 20_000
ANSWER_SECS = 5.0
HALF_A_REQUEST_SECS = 0.05
"""After so long without a word the server is taken to wait for more."""

STATUSES = {200, 408, 431, *STATUS.values()} - {500}
KINDS = {kind.value for kind in DenialKind}

TOKENS = (
    *(b"\r\n", b"\n", b"\r", b"\0", b" ", b":", b",", b"{", b"}", b"[", b"]", b'"', b"\\", b"\\u0000", b"\\ud800"),
    *(b"\xff", b"\xef\xbb\xbf", b"\xc0\x80", b"NaN", b"-Infinity", b"1e999", b"9" * 5000, b"null", b"true", b"{" * 500),
    *(b"[" * 5000, b'{"a":' * 2000, b"transfer-encoding: chunked\r\n", b"content-length: 5\r\n", b"content-length: -1"),
    *(b"content-length: 18446744073709551616\r\n", b"expect: 100-continue\r\n", b"connection: close\r\n"),
    *(b"connection: upgrade\r\nupgrade: websocket\r\n", b"0\r\n\r\n", b"ffffffffffffffff\r\n", b"x" * 20_000),
    *(b"fleet-lock-protocol: true\r\n", b"fleet-lock-protocol: false\r\n", b"HTTP/1.1", b"HTTP/2.0", b"HTTP/1.0"),
    *(b"GET ", b"PUT ", b"OPTIONS * ", b"CONNECT x:1 ", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"/v1/steady-state"),
    *(
        b"/admin/v1/release",
        b"/admin/v1/groups",
        b"/healthz",
        b"http://[::1",
        b"%00",
        b"%ff",
        b"%",
        b"/../",
        b"?",
        b"#",
    ),
    *(b'"update_params":{"boot_id":"x"},', b'"client_params":{},', b'"id":"b",', b'"group":"nobody",', b"\xe2\x80\xae"),
)

_ANSWER = re.compile(rb"\AHTTP/1\.1 (\d{3}) [^\r\n]*\r\n(.*?)\r\n\r\n", re.DOTALL)
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def request(rng: random.Random) -> bytes:
    """One request, mangled."""
    body = GOOD_BODY
    for _ in range(rng.choice((0, 1, 1, 2, 4))):
        body = rng.choice(MUTATIONS)(rng, body)
    verb = rng.choice(tuple(Verb))
    head = f"POST /v1/{verb.value} HTTP/1.1\r\nhost: x\r\nfleet-lock-protocol: true\r\n".encode()
    whole = head + _framed(rng, body)
    for _ in range(rng.choice((0, 0, 1, 1, 3))):
        whole = rng.choice(MUTATIONS)(rng, whole)
    return whole


def _framed(rng: random.Random, body: bytes) -> bytes:
    if rng.random() < 0.2:
        return b"transfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    return b"content-length: %d\r\n\r\n" % len(body) + body


def _flip(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]


def _cut(rng: random.Random, data: bytes) -> bytes:
    low, high = sorted((rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)))
    return data[:low] + data[high:]


def _double(rng: random.Random, data: bytes) -> bytes:
    low, high = sorted((rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)))
    return data[:high] + data[low:high] + data[high:]


def _insert(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(TOKENS) + data[at:]


MUTATIONS: tuple[Callable[[random.Random, bytes], bytes], ...] = (_flip, _cut, _double, _insert, _insert)


def answer(place: Running, data: bytes) -> bytes:
    """What comes back: of half a request nothing, as the server waits for the rest."""
    address = place.addresses[0]
    got = b""
    with socket.create_connection((address.host, address.port), timeout=ANSWER_SECS) as connection:
        try:
            connection.sendall(data)
            connection.settimeout(HALF_A_REQUEST_SECS)
            while piece := connection.recv(65536):
                got += piece
        except (ConnectionResetError, BrokenPipeError, TimeoutError):
            pass  # it hung up in the middle of what it would not read to its end, or keeps the connection
    return got


def complaint(got: bytes) -> str | None:
    """What is wrong with the first answer; none at all is the end of half a request."""
    got = got.removeprefix(_CONTINUE)
    if not got:
        return None
    found = _ANSWER.match(got)
    if found is None:
        return "this is no HTTP"
    status, head = int(found[1]), found[2].lower()
    if status not in STATUSES:
        return f"the status is {status}"
    if b"fleet-lock-extensions: rollout-v1" not in head:
        return "the extension's header is missing"
    length = re.search(rb"content-length: (\d+)", head)
    body = got[found.end() :][: int(length[1])] if length else b""
    return None if status == 200 or not body else _complaint_about(body)


def _complaint_about(body: bytes) -> str | None:
    try:
        error = json.loads(body)
    except ValueError:
        return None  # the rest was lost with the connection
    if set(error) != {"kind", "value"} or error["kind"] not in KINDS or not error["value"]:
        return f"this is no error object: {body[:200]!r}"
    return None


def fuzz(count: int, seed: int) -> tuple[Counter[str], str | None]:
    """How often each status came, and the first failure."""
    seen: Counter[str] = Counter()
    opener = locks_opener(MemoryLocks(clock=SystemClock()))
    with tempfile.TemporaryDirectory() as folder, running(local(Path(folder)), opener) as place:
        for number in range(count):
            rng = random.Random(f"{seed}-{number}")
            data = request(rng)
            got = answer(place, data)
            seen[got[9:12].decode("ascii", "replace") or "none"] += 1
            wrong = complaint(got)
            if wrong is not None:
                return seen, f"{wrong} (--seed {seed}, number {number})\n{data[:2000]!r}\n{got[:2000]!r}"
        return seen, _still_well(place)


def _still_well(place: Running) -> str | None:
    got = answer(place, b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    return None if got.startswith(b"HTTP/1.1 200") or not got else f"it is not well afterwards: {got!r}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it, tell what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=DEFAULT_COUNT)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    options = parser.parse_args(arguments)
    begun = time.monotonic()
    seen, failure = fuzz(options.count, options.seed)
    elapsed_secs = time.monotonic() - begun
    print(f"seed {options.seed}: {sum(seen.values())} requests in {elapsed_secs:.0f} s: {dict(seen.most_common())}")
    if failure is not None:
        print(failure)
    return 1 if failure is not None else 0


if __name__ == "__main__":
    sys.exit(main())
