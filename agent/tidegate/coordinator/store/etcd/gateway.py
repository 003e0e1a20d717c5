"""Encode requests to etcd's JSON gateway, and decode its replies. Pure.

The gateway (3.4) ignores unknown keys: a misspelt ``compare`` makes a transaction unconditional, and a misspelt
``mod_revision`` compares with 0. So all bodies are made here and nowhere else, and :mod:`.proof` tests them on the
real etcd before the first swap. The gateway omits zero, false and empty values; 64-bit numbers are strings; bytes are
base64.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from tidegate.coordinator.store.base import CompareSet, Delete, Document, Put, Range
from tidegate.jsonread import Node, ShapeError

Body = dict[str, object]

TXN_PATH = "/v3/kv/txn"
AUTHENTICATE_PATH = "/v3/auth/authenticate"


@dataclass(frozen=True, slots=True)
class Keys:
    """Read a range without the values of its documents."""

    within: Range


Operation: TypeAlias = Range | Keys | Put | Delete


@dataclass(frozen=True, slots=True)
class TxnReply:
    """``succeeded``: every comparison held. ``ranges`` are the results of the reads that were done, in order."""

    succeeded: bool
    revision: int
    ranges: tuple[tuple[Document, ...], ...]


def txn_body(compare: CompareSet, success: Sequence[Operation], failure: Sequence[Operation] = ()) -> Body:
    """A transaction: ``success`` if every key of ``compare`` is at its revision, else ``failure``."""
    return {
        "compare": [_compare(key, revision) for key, revision in compare.items()],
        "success": [_operation(one) for one in success],
        "failure": [_operation(one) for one in failure],
    }


def txn_reply(document: object) -> TxnReply:
    """Decode the reply to a transaction.

    Raises:
        ShapeError: it is not such a reply.
    """
    node = Node.root(document)
    found = (one.optional_child("response_range") for one in node.children("responses"))
    ranges = tuple(tuple(map(_document, one.children("kvs"))) for one in found if one is not None)
    return TxnReply(node.flag("succeeded"), _number(node.child("header"), "revision"), ranges)


def authenticate_body(name: str, password: str) -> Body:
    """A request for a token."""
    return {"name": name, "password": password}


def authenticate_reply(document: object) -> str:
    """Decode the token, which goes into ``Authorization`` without a scheme.

    Raises:
        ShapeError: the reply has no token.
    """
    return Node.root(document).text("token")


def _compare(key: str, revision: int) -> Body:
    return {"key": _encoded(key), "target": "MOD", "result": "EQUAL", "mod_revision": str(revision)}


def _operation(one: Operation) -> Body:
    match one:
        case Range():
            return {"request_range": _range(one)}
        case Keys(within=within):
            return {"request_range": {**_range(within), "keys_only": True}}
        case Put(key=key, value=value):
            return {"request_put": {"key": _encoded(key), "value": _encoded(value)}}
        case Delete(key=key):
            return {"request_delete_range": {"key": _encoded(key)}}
        case _:
            assert_never(one)


def _range(one: Range) -> Body:
    body: Body = {"key": _encoded(one.start)}
    return body if one.end is None else {**body, "range_end": _encoded(one.end)}


def _document(node: Node) -> Document:
    try:
        key = b64decode(node.text("key"), validate=True).decode()
        value = b64decode(node.optional_text("value") or "", validate=True)
    except ValueError as error:
        raise ShapeError(f"{node.where}: {error}") from error
    numbers = (_number(node, name) for name in ("create_revision", "mod_revision", "version"))
    return Document(key, value, *numbers)


def _number(node: Node, key: str) -> int:
    digits = node.text(key)
    if not (digits.isascii() and digits.isdigit()):
        raise ShapeError(f"{node.where}.{key}: expected digits, found {digits[:20]!r}")
    return int(digits)


def _encoded(text: str) -> str:
    return b64encode(text.encode()).decode("ascii")
