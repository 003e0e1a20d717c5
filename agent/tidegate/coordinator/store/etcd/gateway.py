"""What is said to etcd's JSON gateway and what it answers: every body is made here, and nowhere else.

The gateway (3.4) passes over keys that it does not know: a misspelt ``compare`` makes a transaction unconditional, and
a misspelt ``mod_revision`` compares with 0. So nobody else writes these words, and :mod:`.proof` tries them on the
real thing before the first lock. It leaves out what is zero, false or empty; 64-bit numbers come as strings; bytes are
base64.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from tidegate.jsonread import Node, ShapeError

Body = dict[str, object]

TXN_PATH = "/v3/kv/txn"
AUTHENTICATE_PATH = "/v3/auth/authenticate"


@dataclass(frozen=True, slots=True)
class Compare:
    """Holds while ``key`` was last changed in ``mod_revision``; 0: while there is no such key."""

    key: str
    mod_revision: int


@dataclass(frozen=True, slots=True)
class Range:
    """Read ``key``, or with ``end`` every key from it up to that."""

    key: str
    end: str | None = None


@dataclass(frozen=True, slots=True)
class Put:
    """Write ``key``."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove ``key``."""

    key: str


Operation = Range | Put | Delete


@dataclass(frozen=True, slots=True)
class KeyValue:
    """A key as etcd has it. ``version`` counts its changes since ``create_revision``."""

    key: str
    value: bytes
    create_revision: int
    mod_revision: int
    version: int


@dataclass(frozen=True, slots=True)
class TxnReply:
    """``succeeded``: every comparison held. ``ranges`` are the answers to the reads that were done, in order."""

    succeeded: bool
    revision: int
    ranges: tuple[tuple[KeyValue, ...], ...]


def below(prefix: str) -> Range:
    """Every key that starts with ``prefix``, which ends in an ASCII character."""
    return Range(prefix, prefix[:-1] + chr(ord(prefix[-1]) + 1))


def txn_body(compare: Sequence[Compare], success: Sequence[Operation], failure: Sequence[Operation] = ()) -> Body:
    """A transaction: ``success`` where everything in ``compare`` holds, else ``failure``."""
    return {
        "compare": [_compare(one) for one in compare],
        "success": [_operation(one) for one in success],
        "failure": [_operation(one) for one in failure],
    }


def txn_reply(document: object) -> TxnReply:
    """The answer to a transaction.

    Raises:
        ShapeError: it is none.
    """
    node = Node.root(document)
    found = (one.optional_child("response_range") for one in node.children("responses"))
    ranges = tuple(tuple(map(_key_value, one.children("kvs"))) for one in found if one is not None)
    return TxnReply(node.flag("succeeded"), _number(node.child("header"), "revision"), ranges)


def authenticate_body(name: str, password: str) -> Body:
    """Ask for a token."""
    return {"name": name, "password": password}


def authenticate_reply(document: object) -> str:
    """The token, which goes into ``Authorization`` as it is.

    Raises:
        ShapeError: there is none.
    """
    return Node.root(document).text("token")


def _compare(one: Compare) -> Body:
    return {"key": _encoded(one.key), "target": "MOD", "result": "EQUAL", "mod_revision": str(one.mod_revision)}


def _operation(one: Operation) -> Body:
    match one:
        case Range(key=key, end=end):
            return {"request_range": {"key": _encoded(key)} | ({} if end is None else {"range_end": _encoded(end)})}
        case Put(key=key, value=value):
            return {"request_put": {"key": _encoded(key), "value": _encoded(value)}}
        case Delete(key=key):
            return {"request_delete_range": {"key": _encoded(key)}}
        case _:
            assert_never(one)


def _key_value(node: Node) -> KeyValue:
    try:
        key = b64decode(node.text("key"), validate=True).decode()
        value = b64decode(node.optional_text("value") or "", validate=True)
    except ValueError as error:
        raise ShapeError(f"{node.where}: {error}") from error
    numbers = (_number(node, name) for name in ("create_revision", "mod_revision", "version"))
    return KeyValue(key, value, *numbers)


def _number(node: Node, key: str) -> int:
    digits = node.text(key)
    if not (digits.isascii() and digits.isdigit()):
        raise ShapeError(f"{node.where}.{key}: expected digits, found {digits[:20]!r}")
    return int(digits)


def _encoded(text: str) -> str:
    return b64encode(text.encode()).decode("ascii")
