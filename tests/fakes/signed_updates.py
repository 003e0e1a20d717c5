"""Who publishes signed update graphs, and a web server for them that does as it is told."""

from __future__ import annotations

import json
import shutil
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote

from tests.fakes.clock import FakeClock
from tests.fakes.http_misbehaving import Behaviour, Caller, Server, answers, serving
from tidegate.discovery.request import answer
from tidegate.discovery.wire import GraphRequest, OffersEvent, Trust
from tidegate.errors import ErrorKind
from tidegate.net.wire import ErrorEvent
from tidegate.trust.keys import KeyRole
from tidegate.trust.repository import Lifetimes, Repository

SIGNED_AT = datetime.now(UTC).replace(microsecond=0)
"""The library that checks signatures reads the machine's clock, so what is to be good has to be signed now."""

STABLE, NEXT = "stable/x86_64.json", "next/x86_64.json"
MAX_BYTES = 64 * 1024


def graph(*versions: str) -> bytes:
    """A graph in which each of ``versions`` leads to the one after it; their payloads are ``c`` and the version."""
    nodes = [
        {
            "version": version,
            "payload": f"c{version}",
            "metadata": {
                "org.fedoraproject.coreos.scheme": "checksum",
                "org.fedoraproject.coreos.releases.age_index": str(place),
            },
        }
        for place, version in enumerate(versions)
    ]
    return json.dumps({"nodes": nodes, "edges": [[i, i + 1] for i in range(len(versions) - 1)]}).encode()


@dataclass(frozen=True, slots=True)
class Publisher:
    """Keys and a repository of their own in ``folder``."""

    folder: Path

    @property
    def keys(self) -> Path:
        """Where the keys are."""
        return self.folder / "keys"

    @property
    def site(self) -> Path:
        """What the web server gives out."""
        return self.folder / "site"

    @property
    def root_file(self) -> Path:
        """What hosts trust."""
        return self.keys / "root.json"

    def repository(self, wall: datetime = SIGNED_AT, lifetimes: Lifetimes | None = None) -> Repository:
        """The repository as of ``wall``."""
        return Repository(self.keys, self.site, wall, lifetimes or Lifetimes())

    def init(self, wall: datetime = SIGNED_AT) -> Publisher:
        """Begin."""
        self.repository(wall).init()
        return self

    def publish(self, content: bytes, name: str = STABLE, wall: datetime = SIGNED_AT) -> None:
        """Write a graph and sign it."""
        path = self.site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.repository(wall).sign([path])

    def rotate(self, *roles: KeyRole) -> None:
        """New keys."""
        self.repository().rotate(roles)

    def metadata(self, name: str) -> Path:
        """A file of metadata."""
        return self.site / "metadata" / f"{name}.json"

    def copy_of(self, name: str = STABLE) -> Path:
        """The graph as it was signed."""
        path = self.site / name
        (copy,) = path.parent.glob(f"{'[0-9a-f]' * 64}.{path.name}")
        return copy

    def saved(self, where: Path) -> Publisher:
        """The same as of now, elsewhere: what somebody keeps to give it out again later."""
        shutil.copytree(self.folder, where)
        return Publisher(where)


@dataclass(frozen=True, slots=True)
class Heard:
    """What a host got: the versions that it may go to, or an error."""

    versions: tuple[str, ...] = ()
    error: ErrorEvent | None = None

    @property
    def kind(self) -> ErrorKind | None:
        """The error's kind."""
        return None if self.error is None else self.error.kind

    @property
    def message(self) -> str:
        """The error's message."""
        return "" if self.error is None else self.error.message


@dataclass(frozen=True, slots=True)
class TrustingHost:
    """A host that trusts ``root_file`` alone and remembers in ``folder``."""

    root_file: Path
    folder: Path

    def trust(self, site_url: str, target: str = STABLE) -> Trust:
        """By what it trusts the graph ``target``."""
        return Trust(str(self.root_file), site_url, target, str(self.folder))

    def look(self, site_url: str, target: str = STABLE, payload: str = "c1", wall: datetime = SIGNED_AT) -> Heard:
        """Ask, in this process but by the worker's own code. ``site_url`` ends in a slash."""
        trust = self.trust(site_url, target)
        request = GraphRequest(f"{site_url}{target}", payload, 20, MAX_BYTES, trust=trust)
        match answer(request, FakeClock(wall)):
            case OffersEvent(offers):
                return Heard(tuple(release.version for release in offers.candidates))
            case ErrorEvent() as error:
                return Heard(error=error)
            case other:
                raise AssertionError(other)


@contextmanager
def giving_out(site: Path, attacks: Mapping[str, Behaviour] | None = None) -> Generator[Server]:
    """A web server with the files of ``site``, but for the paths for which ``attacks`` has something else."""
    here: list[Server] = []

    def behave(caller: Caller) -> None:
        path = unquote(here[0].requests[-1].split(" ")[1]).removeprefix("/")  # one client, which asks one at a time
        found = site / path
        usual = answers(found.read_bytes()) if found.is_file() else answers(b"", "404 Not Found")
        (attacks or {}).get(path, usual)(caller)

    with serving(behave) as server:
        here.append(server)
        yield server


def asked_for(server: Server) -> list[str]:
    """The paths of all requests so far."""
    return [head.split(" ")[1].removeprefix("/") for head in server.requests]


def later(days: float) -> datetime:
    """So many days after everything was signed."""
    return SIGNED_AT + timedelta(days=days)


def files(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder``."""
    found: Iterable[Path] = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
