"""A lock server with a known defect, which the checker has to find in a real run. Small and slow.

``python -m tests.cluster.faulty_server DEFECT ADDRESS:PORT MEMBER:PORT,... '{"group": slots}'``
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

import uvicorn
from starlette.types import Receive, Scope, Send

from tests.cluster.history import semaphore_key
from tests.cluster.wire import BrokenError, Connection

STORE_SECS = 2.0
CALL_SECS = 4.0


class Defect(StrEnum):
    """What is wrong."""

    NONE = "none"
    CARELESS = "careless"  # writes whatever has happened since it read
    HOPEFUL = "hopeful"  # takes silence of the store for a yes


@dataclass(frozen=True, slots=True)
class Record:
    """What is in the store, and since which revision."""

    holders: frozenset[str]
    revision: int


class FaultyServer:
    """One round trip to read, one to write, for each call."""

    def __init__(self, defect: Defect, members: Sequence[tuple[str, int]], slots: dict[str, int]) -> None:
        self._defect = defect
        self._members = members
        self._slots = slots
        self._turn = 0
        self._one_at_a_time = {group: asyncio.Lock() for group in slots}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            return
        status, document = 200, dict[str, str]()
        if scope["path"] != "/healthz":
            asked = json.loads((await receive())["body"])["client_params"]
            status, document = await self._answer(scope["path"].rpartition("/")[2], asked["id"], asked["group"])
        body = json.dumps(document).encode()
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, verb: str, client: str, group: str) -> tuple[int, dict[str, str]]:
        try:
            async with asyncio.timeout(CALL_SECS), self._one_at_a_time[group]:
                while (done := await self._attempt(verb, client, group)) is None:
                    pass
        except (BrokenError, TimeoutError):
            self._turn += 1
            return (200, {}) if self._defect is Defect.HOPEFUL else (503, {})
        return done

    async def _attempt(self, verb: str, client: str, group: str) -> tuple[int, dict[str, str]] | None:
        """None: somebody else has written meanwhile."""
        record = await self._read(group)
        if verb == "steady-state":
            wanted = record.holders - {client}
        elif client in record.holders or len(record.holders) < self._slots[group]:
            wanted = record.holders | {client}
        else:
            return 423, {}
        if wanted == record.holders:
            return 200, {"grant": f"g1-{record.revision}"}
        revision = await self._write(group, wanted, record)
        return None if revision is None else (200, {"grant": f"g1-{revision}"})

    async def _read(self, group: str) -> Record:
        found = (await self._ask("range", {"key": _b64(semaphore_key(group))})).get("kvs")
        if not found:
            return Record(frozenset(), 0)
        value = json.loads(base64.b64decode(found[0]["value"]))
        return Record(frozenset(cast(list[str], value["holders"])), int(found[0]["mod_revision"]))

    async def _write(self, group: str, holders: frozenset[str], read: Record) -> int | None:
        key = _b64(semaphore_key(group))
        value = _b64(json.dumps({"total_slots": self._slots[group], "holders": sorted(holders)}))
        compare = [{"key": key, "target": "MOD", "result": "EQUAL", "mod_revision": str(read.revision)}]
        transaction = {
            "compare": [] if self._defect is Defect.CARELESS else compare,
            "success": [{"request_put": {"key": key, "value": value}}],
        }
        done = await self._ask("txn", transaction)
        return int(done["header"]["revision"]) if done.get("succeeded") else None

    async def _ask(self, verb: str, body: dict[str, Any]) -> dict[str, Any]:
        connection = Connection(*self._members[self._turn % len(self._members)])
        try:
            reply = await connection.post(f"/v3/kv/{verb}", json.dumps(body).encode(), deadline_secs=STORE_SECS)
        finally:
            connection.close()
        if reply.status != 200:
            raise BrokenError(f"{reply.status} {reply.body!r}")
        return cast(dict[str, Any], json.loads(reply.body))


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def main() -> None:
    """Serve until killed."""
    defect, listen, members, slots = sys.argv[1:]
    host, _, port = listen.rpartition(":")
    addresses = [one.rpartition(":") for one in members.split(",")]
    server = FaultyServer(Defect(defect), [(name, int(number)) for name, _, number in addresses], json.loads(slots))
    uvicorn.run(server, host=host, port=int(port), log_level="error", lifespan="off")


if __name__ == "__main__":
    main()
