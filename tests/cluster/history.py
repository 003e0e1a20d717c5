"""The history in etcd: every version of a group's semaphore, and bounds on the time at which each was written."""

from __future__ import annotations

import base64
import http.client
import json
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf
from typing import Any, cast

REPLAY_SECS = 60.0
"""For the next piece of a history that is there already."""


class CompactedError(Exception):
    """The store has thrown old versions away: nothing can be proved."""


@dataclass(frozen=True, slots=True)
class Version:
    """The key's value from ``revision`` on; ``holders`` None: the key was deleted."""

    revision: int
    holders: tuple[str, ...] | None


@dataclass(slots=True)
class Timeline:
    """Linearizable reads of the store's revision, one after the other: they bound when each revision was written."""

    _sent: list[float] = field(default_factory=list[float])
    _done: list[float] = field(default_factory=list[float])
    _revisions: list[int] = field(default_factory=list[int])

    def saw(self, revision: int, sent: float, done: float) -> None:
        """The store was at ``revision`` at some moment from ``sent`` to ``done``."""
        if self._revisions and revision < self._revisions[-1]:
            raise ValueError(f"the store went back from revision {self._revisions[-1]} to {revision}")
        self._sent.append(sent)
        self._done.append(done)
        self._revisions.append(revision)

    def __len__(self) -> int:
        """How many reads."""
        return len(self._revisions)

    def earliest(self, revision: int) -> float:
        """It was not written before this."""
        after = bisect_left(self._revisions, revision)
        return self._sent[after - 1] if after else -inf

    def latest(self, revision: int) -> float:
        """It was not written after this."""
        after = bisect_left(self._revisions, revision)
        return self._done[after] if after < len(self._done) else inf


def semaphore_key(group: str) -> str:
    """Where a group's holders are. A group's name has no character that needs quoting."""
    return f"com.coreos.airlock/groups/{group}/v1/semaphore"


def versions(host: str, port: int, group: str) -> Iterator[Version]:
    """Every version of the group's key, from the first one to the one that is the newest at the call."""
    connection = http.client.HTTPConnection(host, port, timeout=REPLAY_SECS)
    try:
        newest = _newest(connection, group)
        if newest is not None:
            yield from _replay(connection, group, newest)
    finally:
        connection.close()


def _newest(connection: http.client.HTTPConnection, group: str) -> int | None:
    connection.request("POST", "/v3/kv/range", json.dumps({"key": _b64(semaphore_key(group))}))
    found = json.loads(connection.getresponse().read()).get("kvs")
    return int(found[0]["mod_revision"]) if found else None


def _replay(connection: http.client.HTTPConnection, group: str, newest: int) -> Iterator[Version]:
    request = {"create_request": {"key": _b64(semaphore_key(group)), "start_revision": "1"}}
    connection.request("POST", "/v3/watch", json.dumps(request))
    reply = connection.getresponse()
    while line := reply.readline():
        result = json.loads(line)["result"]
        if result.get("canceled"):
            raise CompactedError(f"versions before {result.get('compact_revision')} are gone")
        for event in result.get("events", ()):
            version = _version(event)
            yield version
            if version.revision >= newest:
                return


def _version(event: dict[str, Any]) -> Version:
    revision = int(event["kv"]["mod_revision"])
    if event.get("type") == "DELETE":
        return Version(revision, None)
    value = json.loads(base64.b64decode(event["kv"]["value"]))
    return Version(revision, tuple(cast(list[str], value["holders"])))


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
