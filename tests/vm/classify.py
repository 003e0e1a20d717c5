"""The class of every instant of a recording, found out without booting.

For each flush of the disk: what the boot loader reads, what the kernel reads once it has replayed the journals, and
whether the root that the entry names is there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from io import BufferedRandom, BufferedReader
from pathlib import Path

from tests.e2e.lab.process import LabError, run
from tests.vm.bootmenu import Entry, FileSystem, Menu, deployment_of, read_menu
from tests.vm.disk import BOOT, PARTITIONS, ROOT, Partition, extract
from tests.vm.recording import Recording
from tests.vm.writelog import Lost, Write, apply, survivors

SEEDS = (1, 2, 3)
"""Of the unflushed writes to /boot, random halves are tried as well: so many for each flush."""

REPLAYED_RC = frozenset({0, 1})


class Verdict(StrEnum):
    """The class of an instant."""

    AGREE = "boot loader and kernel agree"
    OLDER_MENU = "the boot loader reads the older menu"
    NO_ROOT = "does not boot: the root of the entry is gone"
    NO_ENTRY = "does not boot: no entry"
    TORN = "does not boot: kernel or initramfs is torn"


BOOTS = frozenset({Verdict.AGREE, Verdict.OLDER_MENU})


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict, with the releases that the boot loader starts and that /boot names as default afterwards."""

    verdict: Verdict
    boots: str
    default: str


@dataclass(frozen=True, slots=True)
class Instant:
    """A cut of which the result is known: the log up to ``upto``, and what becomes of what was not flushed."""

    at_secs: float
    upto: int
    lost: Lost
    seed: int
    finding: Finding


@dataclass(frozen=True, slots=True)
class Window:
    """Consecutive flushes with one finding."""

    finding: Finding
    begin_secs: float
    end_secs: float
    instants: tuple[Instant, ...]

    @property
    def middle(self) -> Instant:
        """The instant to cut at."""
        return self.instants[len(self.instants) // 2]


class Disk:
    """The two file systems at one instant, as images of their own."""

    def __init__(self, base: Path, folder: Path, versions: dict[str, str]) -> None:
        self.images = {part: folder / f"{part.label}.img" for part in PARTITIONS}
        for part, image in self.images.items():
            extract(base, part, image)
        self._versions = versions
        self._known: dict[str, str] = {}
        self._undo = folder / "undo"
        self._menus: tuple[Menu, Menu, bool] | None = None

    def forget_menus(self) -> None:
        """/boot has changed."""
        self._menus = None

    def look(self) -> Finding:
        """Classify it."""
        raw, replayed, whole = self._menus = self._menus or self._read_menus()
        if not raw:
            return Finding(Verdict.NO_ENTRY, "nothing", self._version(replayed[0]) if replayed else "nothing")
        with self._replayed(ROOT) as root:
            there = self._learn(root, (*raw, *replayed))
        boots, default = self._version(raw[0]), self._version(replayed[0]) if replayed else "nothing"
        if not there:
            return Finding(Verdict.NO_ROOT, "nothing", default)
        if not whole:
            return Finding(Verdict.TORN, "nothing", default)
        return Finding(Verdict.AGREE if raw == replayed else Verdict.OLDER_MENU, boots, default)

    def _read_menus(self) -> tuple[Menu, Menu, bool]:
        as_it_lies = FileSystem(self.images[BOOT])
        raw = read_menu(as_it_lies)
        whole = not raw or is_whole(as_it_lies, raw[0], self._undo.with_name("loaded"))
        with self._replayed(BOOT) as boot:
            return raw, read_menu(boot), whole

    def _learn(self, root: FileSystem, entries: Sequence[Entry]) -> bool:
        """Note which release each entry leads to; whether the first one leads anywhere."""
        found = {entry.root: deployment_of(root, entry) for entry in dict.fromkeys(entries)}
        for path, deployment in found.items():
            if deployment is not None:
                payload = deployment.rsplit("/", 1)[-1].split(".")[0]
                self._known[path] = self._versions.get(payload, payload[:8])
        return found[entries[0].root] is not None

    def _version(self, entry: Entry) -> str:
        return self._known.get(entry.root, "?")

    @contextmanager
    def _replayed(self, part: Partition) -> Generator[FileSystem]:
        """A file system with its journal replayed, for as long as this lasts."""
        image = self.images[part]
        self._undo.unlink(missing_ok=True)
        done = run(["e2fsck", "-E", "journal_only", "-y", "-z", self._undo, image])
        if done.rc not in REPLAYED_RC:
            done.checked()
        try:
            yield FileSystem(image)
        finally:
            if self._undo.exists():
                run(["e2undo", self._undo, image]).checked()


def is_whole(boot: FileSystem, entry: Entry, scratch: Path) -> bool:
    """Whether kernel and initramfs are what libostree put there: it names their folder by their checksum."""
    checksum = hashlib.sha256()
    for path in (entry.kernel, entry.initramfs):
        if not boot.dump(path, scratch):
            return False
        checksum.update(scratch.read_bytes())
    named = re.search(r"-([0-9a-f]{64})/", entry.kernel)
    return named is not None and named[1] == checksum.hexdigest()


def classify(recording: Recording, folder: Path, *, since: int = 0) -> list[Instant]:
    """The findings of all flushes of a recording, and of random halves of what was written to /boot between two.

    Those before the log was ``since`` bytes long are left out.
    """
    disk = Disk(recording.kit.disk, folder, recording.kit.versions)
    with recording.log.path.open("rb") as log, _open(disk) as images:
        return list(_instants(recording, disk, log, images, since))


Images = dict[Partition, BufferedRandom]


@contextmanager
def _open(disk: Disk) -> Generator[Images]:
    boot, root = (disk.images[part].open("r+b") for part in PARTITIONS)
    with boot, root:
        yield {BOOT: boot, ROOT: root}


def _instants(recording: Recording, disk: Disk, log: BufferedReader, images: Images, since: int) -> Iterator[Instant]:
    unflushed: list[Write] = []
    for write in recording.log.entries():
        unflushed.append(write)
        if not write.flushes:
            continue
        at_secs = recording.at_secs(write.at)
        if any(_is_on(BOOT, w) for w in unflushed):
            for seed in SEEDS if write.at >= since else ():
                kept = survivors(unflushed, Lost.HALF, seed)
                with _for_a_moment(kept, log, images, disk):
                    yield Instant(at_secs, write.at, Lost.HALF, seed, disk.look())
            disk.forget_menus()
        if any(w.writes for w in unflushed):
            _apply(unflushed, log, images)
            if write.at >= since:
                yield Instant(at_secs, write.at + 1, Lost.ALL, 0, disk.look())
        unflushed = []


def _is_on(part: Partition, write: Write) -> bool:
    return write.writes and part.start_bytes <= write.start_bytes < part.end_bytes


def _apply(writes: Sequence[Write], log: BufferedReader, images: Images) -> None:
    for part, image in images.items():
        apply([w for w in writes if _is_on(part, w)], log, image, shift_bytes=part.start_bytes)


@contextmanager
def _for_a_moment(writes: Sequence[Write], log: BufferedReader, images: Images, disk: Disk) -> Generator[None]:
    """Carry out writes, and take them back."""
    before = [(part, w, _read(images[part], part, w)) for w in writes for part in PARTITIONS if _is_on(part, w)]
    _apply(writes, log, images)
    disk.forget_menus()
    try:
        yield
    finally:
        for part, write, content in before:
            images[part].seek(write.start_bytes - part.start_bytes)
            images[part].write(content)
        for image in images.values():
            image.flush()
        disk.forget_menus()


def _read(image: BufferedRandom, part: Partition, write: Write) -> bytes:
    image.seek(write.start_bytes - part.start_bytes)
    return image.read(write.size_bytes)


def windows(instants: Sequence[Instant]) -> list[Window]:
    """The strict instants, those with the same finding together.

    Raises:
        LabError: there are none.
    """
    strict = [instant for instant in instants if instant.lost is Lost.ALL]
    if not strict:
        raise LabError("the log has no flush")
    groups: list[list[Instant]] = [[strict[0]]]
    for instant in strict[1:]:
        if instant.finding == groups[-1][-1].finding:
            groups[-1].append(instant)
        else:
            groups.append([instant])
    ends = [*(group[0].at_secs for group in groups[1:]), strict[-1].at_secs]
    return [Window(g[0].finding, g[0].at_secs, end, tuple(g)) for g, end in zip(groups, ends, strict=True)]
