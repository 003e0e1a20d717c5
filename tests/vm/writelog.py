"""A log of everything that was written to a disk, as QEMU's ``blklogwrites`` keeps it, and the disks that power cuts
leave behind.

The format is that of the kernel's dm-log-writes: a superblock, then entries, each a header of one sector and its data.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from io import BufferedRandom, BufferedReader
from pathlib import Path

from tests.e2e.lab.process import LabError
from tests.vm.disk import copy_sparse

MAGIC = 0x6A736677736872
SUPERBLOCK = struct.Struct("<QQQI")
HEADER = struct.Struct("<QQQQ")
FLUSH = 1
DISCARD = 4


@dataclass(frozen=True, slots=True)
class Write:
    """An entry: ``at`` is where it begins in the log, ``data_at`` where its data does. A flush may carry no data."""

    at: int
    start_bytes: int
    size_bytes: int
    flushes: bool
    discards: bool
    data_at: int

    @property
    def writes(self) -> bool:
        """Whether it changes the disk. What was discarded is left as it was: nobody may rely on it."""
        return self.size_bytes > 0 and not self.discards


class Lost(StrEnum):
    """What becomes of writes that were not flushed when the power went."""

    ALL = "strict"
    HALF = "rand"
    NONE = "keep"


@dataclass(frozen=True, slots=True)
class WriteLog:
    """A log that is complete, or was until the power was cut."""

    path: Path

    def entries(self) -> Iterator[Write]:
        """All entries in the order in which the disk got them.

        Raises:
            LabError: this is no such log.
        """
        with self.path.open("rb") as log:
            magic, _version, count, sector = SUPERBLOCK.unpack(log.read(SUPERBLOCK.size))
            if magic != MAGIC:
                raise LabError(f"{self.path} is no log of writes")
            end, at = self.path.stat().st_size, sector
            for _ in range(count):
                if at + HEADER.size > end:
                    return
                log.seek(at)
                first, sectors, flags, _length = HEADER.unpack(log.read(HEADER.size))
                discards = bool(flags & DISCARD)
                data_at = at + sector
                yield Write(at, first * sector, sectors * sector, bool(flags & FLUSH), discards, data_at)
                at = data_at + (0 if discards else sectors * sector)


def apply(writes: Iterable[Write], log: BufferedReader, disk: BufferedRandom, *, shift_bytes: int = 0) -> None:
    """Carry out writes on an image that begins ``shift_bytes`` into the disk."""
    for write in writes:
        if write.writes:
            log.seek(write.data_at)
            disk.seek(write.start_bytes - shift_bytes)
            disk.write(log.read(write.size_bytes))
    disk.flush()


def survivors(unflushed: Iterable[Write], lost: Lost, seed: int) -> list[Write]:
    """Those of the writes since the last flush that reached the disk all the same. Each is whole or absent."""
    match lost:
        case Lost.ALL:
            return []
        case Lost.NONE:
            return list(unflushed)
        case Lost.HALF:
            chance = random.Random(seed)
            return [write for write in unflushed if chance.random() < 0.5]


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a power cut lost."""

    lost_bytes: int


def rebuild(base: Path, log: WriteLog, to: Path, *, upto: int, lost: Lost, seed: int = 1) -> Rebuilt:
    """Write the disk that a power cut leaves once the log is ``upto`` bytes long; ``base`` is the disk at its start."""
    writes = [write for write in log.entries() if write.at < upto]
    flushed = max((number for number, write in enumerate(writes, 1) if write.flushes), default=0)
    unflushed = writes[flushed:]
    kept = survivors(unflushed, lost, seed)
    copy_sparse(base, to)
    with log.path.open("rb") as source, to.open("r+b") as disk:
        apply([*writes[:flushed], *kept], source, disk)
    return Rebuilt(sum(w.size_bytes for w in unflushed if w.writes) - sum(w.size_bytes for w in kept if w.writes))
