"""The interface of stores: documents by key, changed together by compare-and-swap.

A store knows nothing of what its documents mean. Keys and layout are the same in every store (:mod:`..group_records`).

A store gives two guarantees: a read is linearizable, and a swap is atomic. A caller may cache what it has read, and a
watch may refresh such a cache; but nothing may be decided on a cached document whose revision is not in the compare set
of the swap that the decision leads to, or confirmed by a later read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from tidegate.errors import ErrorKind, TidegateError

PREFIX = "com.coreos.airlock/"
"""The prefix of every key, airlock's own: an account of etcd needs to read and write nothing else."""

MAX_WRITES = 128
"""Writes in one swap. etcd takes so many operations in a transaction (3.4, ``--max-txn-ops``), and requests of 1.5 MiB
(``--max-request-bytes``)."""

CompareSet: TypeAlias = Mapping[str, int]
"""Keys and their revisions as they were read; 0: there was no such key."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it was read.

    ``revision`` is the store's revision of the last write to it, ``created`` that of the first write since the key
    exists, and ``version`` counts the writes since then, from 1.
    """

    key: str
    value: bytes
    created: int
    revision: int
    version: int


@dataclass(frozen=True, slots=True)
class Range:
    """The document at ``start``, or with ``end`` all documents from ``start`` up to but without ``end``."""

    start: str
    end: str | None = None


@dataclass(frozen=True, slots=True)
class Put:
    """Create or replace a document."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a document, if it exists."""

    key: str


Write: TypeAlias = Put | Delete


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Ranges as they were at one revision of the store, each in the order of its keys."""

    revision: int
    ranges: tuple[tuple[Document, ...], ...]


@dataclass(frozen=True, slots=True)
class Swapped:
    """The writes were carried out, in ``revision``."""

    revision: int


class Store(Protocol):
    """A store of documents.

    Raises:
        TidegateError: ``coordinator.store-unavailable``: there is no answer, and a swap may or may not have been
            carried out; read again and decide again, never send the same swap again. ``coordinator.store-nonsense``:
            the store refuses the request, or is not a usable store.
    """

    async def read(self, ranges: Sequence[Range]) -> Snapshot:
        """Read ``ranges`` at one revision, linearizably."""
        ...

    async def keys(self, within: Range) -> tuple[str, ...]:
        """The keys in a range, in their order, by a linearizable read."""
        ...

    async def swap(self, compare: CompareSet, writes: Sequence[Write], ranges: Sequence[Range]) -> Swapped | Snapshot:
        """Carry out ``writes`` if every document of ``compare`` is still at its revision; else read ``ranges``.

        Without ``writes`` it confirms linearizably that nothing has changed, in the revision that it returns.
        """
        ...

    async def check(self) -> None:
        """Check that the store can be read and written."""
        ...

    async def aclose(self) -> None:
        """Close files and connections. Nothing may be requested afterwards."""
        ...

    def unreadable(self, key: str, why: str) -> TidegateError:
        """The error for a document that its reader cannot parse, with this store's remedy."""
        ...


def below(prefix: str) -> Range:
    """All documents whose key starts with ``prefix``, which has to end in an ASCII character."""
    return Range(prefix, prefix[:-1] + chr(ord(prefix[-1]) + 1))


def unavailable(message: str, remedy: str = "") -> TidegateError:
    """An error after which it is unknown whether anything has changed."""
    return TidegateError(ErrorKind.COORDINATOR_STORE_UNAVAILABLE, message, remedy)


def nonsense(message: str, remedy: str) -> TidegateError:
    """An error about a store, or a document in it, that cannot be used; it is left unchanged."""
    return TidegateError(ErrorKind.COORDINATOR_STORE_NONSENSE, message, remedy)
