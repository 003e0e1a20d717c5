"""A repository of signed update graphs: a folder that a web server serves, with TUF metadata.

::

    KEYS/root.json                      the root of trust, also on hosts; KEYS/*.pem: see :mod:`.keys`
    REPOSITORY/metadata/1.root.json     the same, and each later root
    REPOSITORY/metadata/timestamp.json  refers to a snapshot, which refers to targets, which list graphs
    REPOSITORY/stable/x86_64.json       a graph, read by hosts without a root of trust
    REPOSITORY/stable/HASH.x86_64.json  its signed version, read by all other hosts

The web server is not trusted, and neither is the content of this folder: roots are verified from ``KEYS/root.json``
on, and earlier metadata is signed again only if its signature is valid. ``timestamp.json`` is written last; an
interruption before that has no effect.
"""
# pyright: reportPrivateImportUsage=false
# python-tuf and securesystemslib re-export without telling type checkers (7.0, 1.6); hence also the ignores below.

from __future__ import annotations

import fcntl
import os
from collections.abc import Collection, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote, unquote

from securesystemslib.signer import CryptoSigner, Signer  # type: ignore[attr-defined]  # re-exported
from tuf.api.metadata import (  # type: ignore[attr-defined]  # re-exported
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    T,
    TargetFile,
    Targets,
    Timestamp,
)

from tidegate.discovery.graph import MAX_GRAPH_BYTES, parse_graph
from tidegate.errors import TidegateError
from tidegate.system import regular_file
from tidegate.system.atomicfile import write_durably
from tidegate.trust import keys
from tidegate.trust.keys import KeyRole
from tidegate.trust.metadata import MAX_METADATA_BYTES, hand_over, loaded, signed, unusable, verify

KEPT_VERSIONS = 8
"""How many snapshots and lists of graphs are kept, for hosts and mirrors that are reading an older one."""

_MODE = 0o644
_FORGED_ROOT = "it was tampered with: restore the repository"
_FORGED_TARGETS = (
    "it was tampered with, or a rotation of that key was interrupted: sign every graph that hosts need with "
    "tidegate trust sign --anew GRAPH..."
)


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """Lifetimes of signatures in days.

    ``online_days`` limits how long a compromised web server can withhold updates; ``refresh`` has to run more often.
    """

    root_days: int = 365
    targets_days: int = 365
    online_days: int = 7


@dataclass(frozen=True, slots=True)
class _Published:
    """The published versions, the signed graphs, and the expiry of targets (``until``)."""

    timestamp: int
    snapshot: int
    targets: int
    graphs: Mapping[str, TargetFile]
    until: datetime


@dataclass(frozen=True, slots=True)
class Repository:
    """The repository in ``folder``, signed with the keys in ``keys``, at the time ``wall``.

    Every method raises TidegateError ``trust.unusable`` if keys or repository are missing or invalid.
    """

    keys: Path
    folder: Path
    wall: datetime
    lifetimes: Lifetimes = Lifetimes()

    def init(self) -> Path:
        """Make keys and a repository without graphs; returns the path of the root of trust. Existing files are kept."""
        with _as_unusable():
            self.keys.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._metadata.mkdir(parents=True, exist_ok=True)
        with self._locked():
            if not self._anchor.exists():
                write_durably(self._anchor, self._first_root(), _MODE)
            root = loaded(self._anchor, Root).signed
            if not self._place("timestamp").exists():
                write_durably(
                    self._place(f"{root.version}.root"), regular_file.read(self._anchor, MAX_METADATA_BYTES), _MODE
                )
                self._publish(root, _Published(0, 0, 0, {}, self.wall))
        return self._anchor

    def sign(self, graphs: Iterable[Path], *, anew: bool = False) -> tuple[str, ...]:
        """Sign ``graphs``, which are files in the repository; returns their names. Idempotent.

        Other graphs remain signed, unless ``anew`` is set, for use after the list was tampered with.

        Raises:
            TidegateError: also ``discovery.nonsense``, for a graph that hosts would reject.
        """
        with self._locked():
            root = self._root()
            before = self._published(root, anew=anew)
            found = dict(map(self._read, graphs))
            wanted = {**before.graphs, **{name: _target(name, content) for name, content in found.items()}}
            if anew or wanted != before.graphs or self._is_stale(before.until):
                for name, content in found.items():
                    self._copy(wanted[name], content)
                self._publish(root, replace(before, graphs=wanted))
        return tuple(found)

    def refresh(self) -> datetime:
        """Renew the online signatures; returns their expiry. Needs only the online key."""
        with self._locked():
            root = self._root()
            return self._publish_online(root, self._published(root))

    def rotate(self, roles: Collection[KeyRole]) -> int:
        """Publish the next root, with new keys for ``roles`` and a new expiry; returns its version.

        Needs the root key, and for ``targets`` also the online key.
        """
        with self._locked():
            old = self._root()
            before = self._published(old)
            signers = [self._signer(old, KeyRole.ROOT)]
            if KeyRole.TARGETS in roles:
                self._signer(old, KeyRole.ONLINE)  # fail early: without it, hosts would be left without valid metadata
            new, fresh = self._successor(old, roles)
            self._write(f"{new.version}.root", Metadata(new), [*signers, *fresh], self.lifetimes.root_days)
            if KeyRole.TARGETS in roles:
                self._publish(new, before)
            elif KeyRole.ONLINE in roles:
                self._publish_online(new, before)
        return new.version

    def ending(self) -> Mapping[str, datetime]:
        """The expiry of the root and targets signatures, which are renewed by a person with offline keys."""
        root = self._root()
        return {"root": root.expires, "targets": self._published(root).until}

    # ------------------------------------------------------------------ reading

    @property
    def _anchor(self) -> Path:
        return self.keys / "root.json"

    @property
    def _metadata(self) -> Path:
        return self.folder / "metadata"

    def _place(self, name: str) -> Path:
        return self._metadata / f"{name}.json"

    def _root(self) -> Root:
        """The newest root that is verified by a chain of signatures."""
        root = loaded(self._anchor, Root).signed
        while (path := self._place(f"{root.version + 1}.root")).exists():
            following = loaded(path, Root)
            for judge in (root, following.signed):
                verify(judge, "root", following, path, _FORGED_ROOT)
            root = following.signed
        return root

    def _published(self, root: Root, *, anew: bool = False) -> _Published:
        timestamp = loaded(self._place("timestamp"), Timestamp).signed
        version = timestamp.snapshot_meta.version
        listed = loaded(self._place(f"{version}.snapshot"), Snapshot).signed.meta["targets.json"].version
        if anew:
            return _Published(timestamp.version, version, listed, {}, self.wall)
        path = self._place(f"{listed}.targets")
        targets = loaded(path, Targets)
        verify(root, "targets", targets, path, _FORGED_TARGETS)
        return _Published(timestamp.version, version, listed, targets.signed.targets, targets.signed.expires)

    def _read(self, path: Path) -> tuple[str, bytes]:
        """The name and the content of a graph."""
        place, folder = path.resolve(), self.folder.resolve()
        if not place.is_relative_to(folder):
            raise unusable(f"{path} is not in the repository {self.folder}", "write the graph into the repository")
        content = regular_file.read_start(place, MAX_GRAPH_BYTES + 1)
        if len(content) > MAX_GRAPH_BYTES:
            raise unusable(f"{path} is larger than {MAX_GRAPH_BYTES} bytes", "remove releases that no host runs")
        try:
            parse_graph(content)
        except TidegateError as error:
            raise TidegateError(error.kind, f"{path}: {error.message}", error.remedy) from error
        return quote(place.relative_to(folder).as_posix()), content

    def _signer(self, root: Root, role: KeyRole) -> CryptoSigner:
        return keys.find(self.keys, role, root.roles[role.roles[0]].keyids)

    def _is_stale(self, until: datetime) -> bool:
        """Whether less than half of the lifetime of targets is left."""
        return until - self.wall < timedelta(days=self.lifetimes.targets_days) / 2

    # ------------------------------------------------------------------ writing

    def _first_root(self) -> bytes:
        root = Root(consistent_snapshot=True)
        signers = {role: keys.make(self.keys, role) for role in KeyRole}
        for role, signer in signers.items():
            hand_over(root, role, signer)
        return signed(Metadata(root), [signers[KeyRole.ROOT]], self._until(self.lifetimes.root_days))

    def _successor(self, old: Root, roles: Collection[KeyRole]) -> tuple[Root, list[CryptoSigner]]:
        """The next root, and the keys that have to sign it besides that of ``old``."""
        new = Root.from_dict(old.to_dict())
        new.version += 1
        fresh = {role: keys.make(self.keys, role) for role in KeyRole if role in roles}
        for role, signer in fresh.items():
            hand_over(new, role, signer)
        return new, [signer for role, signer in fresh.items() if role is KeyRole.ROOT]

    def _publish(self, root: Root, before: _Published) -> None:
        now = replace(before, targets=before.targets + 1)
        targets, signer = Targets(now.targets, targets=dict(now.graphs)), self._signer(root, KeyRole.TARGETS)
        self._write(f"{now.targets}.targets", Metadata(targets), [signer], self.lifetimes.targets_days)
        self._publish_online(root, now)

    def _publish_online(self, root: Root, before: _Published) -> datetime:
        signers, days = [self._signer(root, KeyRole.ONLINE)], self.lifetimes.online_days
        snapshot = Snapshot(before.snapshot + 1, meta={"targets.json": MetaFile(before.targets)})
        self._write(f"{snapshot.version}.snapshot", Metadata(snapshot), signers, days)
        timestamp = Timestamp(before.timestamp + 1, snapshot_meta=MetaFile(snapshot.version))
        self._write("timestamp", Metadata(timestamp), signers, days)
        self._prune(snapshot.version, before.targets)
        return timestamp.expires

    def _write(self, name: str, metadata: Metadata[T], signers: Iterable[Signer], days: int) -> None:
        write_durably(self._place(name), signed(metadata, signers, self._until(days)), _MODE)

    def _copy(self, target: TargetFile, content: bytes) -> None:
        for name in target.get_prefixed_paths():
            write_durably(self.folder / unquote(name), content, _MODE)

    def _until(self, days: int) -> datetime:
        return self.wall + timedelta(days=days)

    def _prune(self, snapshot: int, targets: int) -> None:
        """Remove what no host asks for any more: old versions, and the graphs that only they name."""
        for version in self._old("snapshot", snapshot):
            self._place(f"{version}.snapshot").unlink()
        old = {version: self._copies(version) for version in self._old("targets", targets)}
        recent = range(max(targets - KEPT_VERSIONS, 0) + 1, targets + 1)
        needed = frozenset[str]().union(*map(self._copies, recent))
        for version, copies in old.items():
            for name in copies - needed:
                (self.folder / unquote(name)).unlink(missing_ok=True)
            self._place(f"{version}.targets").unlink()

    def _old(self, role: str, newest: int) -> list[int]:
        versions = (path.name.partition(".")[0] for path in self._metadata.glob(f"*.{role}.json"))
        return sorted(int(text) for text in versions if text.isdecimal() and int(text) <= newest - KEPT_VERSIONS)

    def _copies(self, version: int) -> frozenset[str]:
        path = self._place(f"{version}.targets")
        listed = loaded(path, Targets).signed.targets.values() if path.exists() else ()
        return frozenset(name for target in listed for name in target.get_prefixed_paths())

    @contextmanager
    def _locked(self) -> Generator[None]:
        """Hold an exclusive flock(2) on the keys, against other signing commands."""
        with _as_unusable():
            handle = os.open(self.keys, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                yield
            finally:
                os.close(handle)


@contextmanager
def _as_unusable() -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise unusable(f"{error.filename}: {error.strerror}", "tidegate trust init creates keys and folders") from error


def _target(name: str, content: bytes) -> TargetFile:
    return TargetFile.from_data(name, content, ["sha256"])
