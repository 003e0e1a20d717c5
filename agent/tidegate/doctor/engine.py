"""Area ``engine``: the engine that stages releases, whether a shutdown applies them, and the remote."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tidegate.doctor import disk_space
from tidegate.doctor.base import Area, Finding, Host
from tidegate.doctor.reach import Reached, Unreached, reach
from tidegate.doctor.reading import Unit, ask, read_units
from tidegate.engines import registry
from tidegate.engines.detect import engine_for, read_facts
from tidegate.engines.entry import load
from tidegate.engines.facts import HostFacts
from tidegate.engines.ostree.source import Source, source_of
from tidegate.engines.ostree.status import UNKNOWN_VERSION, Listed, parse_json, parse_text, parse_version
from tidegate.errors import ErrorKind, Failure, TidegateError

AREA = Area("engine")
REPO = "/ostree/repo"
FINALIZE = "ostree-finalize-staged.service"
FINALIZE_PATH = "ostree-finalize-staged.path"

OLDEST = (2022, 2)
"""The first version that can lock a staged release."""

KNOWN_BUGS: Mapping[tuple[int, int], str] = {
    (2023, 6): "cannot change the boot order by command, so Tidegate needs python3-gi and gir1.2-ostree-1.0",
    (2023, 7): "downloads all objects beside a static delta; Tidegate avoids that by fetching the metadata first",
    (2023, 8): "does not retry interrupted transfers; Tidegate does",
    (
        2025,
        1,
    ): "loses a staged release if the host reboots immediately; Tidegate therefore starts the finalize unit itself",
    (2025, 2): "does not flush the boot menu; Tidegate does",
}
"""Known bugs of versions before these, and their workarounds."""


@dataclass(frozen=True, slots=True)
class RemoteFacts:
    """The remote of the running release. ``verify``: its setting ``gpg-verify``. ``answer``: None if it is not HTTP."""

    source: Source
    url: str
    verify: bool
    answer: Reached | Unreached | None


async def examine(host: Host) -> Sequence[Finding]:
    """Check which engine fits the host, and examine that."""
    kind, facts = host.settings.engine.kind, await read_facts(host.root)
    chosen = judge_kind(kind, facts)
    if any(finding.remedy for finding in chosen):
        return chosen
    entry = engine_for(facts) if kind == registry.AUTO else registry.find(kind)
    if entry is None or entry.doctor is None:
        return chosen
    examine_engine: Callable[[Host], Awaitable[Sequence[Finding]]] = load(entry.doctor)
    return [*chosen, *await examine_engine(host)]


async def examine_ostree(host: Host) -> Sequence[Finding]:
    """Check ostree's version, its units, the room for a release, and the remote of the booted one."""
    version = await ask("ostree", "--version")
    units = await read_units(FINALIZE, FINALIZE_PATH)
    found = [*judge_version(version.stdout), *judge_units(units)]
    listing = await _listing()
    booted = next((entry for entry in listing if entry.booted), None)
    if booted is None:
        text = "ostree considers none of its deployments to be the running one"
        return [*found, AREA.problem("deployments", text, "ostree admin status")]
    rollback = [entry for entry in listing if not entry.booted and not entry.staged]
    return [*found, *await disk_space.examine(host.root, rollback), *await _remote(booted)]


async def _listing() -> tuple[Listed, ...]:
    as_json = await ask("ostree", "admin", "status", "--json")  # 2025.3 and newer
    if as_json.returncode == 0:
        return parse_json(as_json.stdout)
    done = await ask("ostree", "admin", "status")
    if done.returncode != 0:
        raise TidegateError(ErrorKind.ENGINE_FAILED, f"ostree admin status: {done.stderr.strip()}", "run it by hand")
    return parse_text(done.stdout)


def judge_kind(kind: str, facts: HostFacts) -> list[Finding]:
    """Which engine it is, or why there is none."""
    if kind != registry.AUTO:
        return [AREA.ok("kind", f"the engine is {kind}, as configured")]
    try:
        return [AREA.ok("kind", f"the engine is {engine_for(facts).name}")]
    except TidegateError as err:
        return [AREA.problem("kind", err.message, err.remedy)]


def judge_version(text: str) -> Iterator[Finding]:
    """Whether this version of ostree is supported, and its known bugs."""
    version = parse_version(text)
    if version == UNKNOWN_VERSION:
        yield AREA.unknown("version", "the version of ostree is unknown", "ostree --version")
        return
    shown = f"ostree {version[0]}.{version[1]}"
    if version < OLDEST:
        text = f"{shown} is too old: it cannot lock a staged release"
        yield AREA.problem("version", text, f"add ostree {OLDEST[0]}.{OLDEST[1]} or newer to the releases")
        return
    bugs = (f"it {bug}" for before, bug in KNOWN_BUGS.items() if version < before)
    yield AREA.ok("version", f"{shown} is supported", *bugs)


def judge_units(units: Mapping[str, Unit]) -> Iterator[Finding]:
    """Whether a shutdown applies the staged release. ostree 2025.2 has no path unit, and starts the service itself."""
    service, path = units[FINALIZE], units[FINALIZE_PATH]
    watch = [f"systemctl start {FINALIZE_PATH}"] if path.exists else []
    evidence = tuple(f"{unit.name}: {unit.load}, {unit.active}" for unit in (service, path))
    masked = [unit for unit in (service, path) if unit.is_masked]
    if masked:
        names = " and ".join(unit.name for unit in masked)
        verb = "is" if len(masked) == 1 else "are"
        text = f"{names} {verb} masked: a shutdown does not apply the staged release"
        remedy = " && ".join([*(unit.unmask for unit in masked), *watch])
        yield AREA.problem("finalize", text, remedy, *evidence)
    elif not service.exists:
        text = f"{FINALIZE} is not installed: a shutdown does not apply the staged release"
        yield AREA.problem("finalize", text, "add it to the releases; on Debian it is in ostree-boot", *evidence)
    elif path.exists and path.active != "active":
        text = (
            f"{FINALIZE_PATH} is not active: releases staged by other programs are not applied, those of Tidegate are"
        )
        yield AREA.warning("finalize", text, f"systemctl start {FINALIZE_PATH}", *evidence)
    else:
        yield AREA.ok("finalize", "a shutdown applies the staged release", *evidence)


async def _remote(booted: Listed) -> list[Finding]:
    try:
        source = source_of(booted)
    except TidegateError as err:
        return [AREA.problem("remote", err.message, err.remedy)]
    url = await ask("ostree", "remote", f"--repo={REPO}", "show-url", source.remote)
    if url.returncode != 0:
        return [*judge_remote(source, Failure(ErrorKind.ENGINE_FAILED, url.stderr.strip()))]
    verify = await ask("ostree", "config", f"--repo={REPO}", "get", f'remote "{source.remote}".gpg-verify')
    facts = RemoteFacts(source, url.stdout.strip(), verify.stdout.strip() != "false", None)
    remote_url = facts.url.removeprefix("mirrorlist=")
    if remote_url.startswith(("http://", "https://")):
        facts = replace(facts, answer=await reach(remote_url))
    return [*judge_remote(source, facts)]


def judge_remote(source: Source, facts: RemoteFacts | Failure) -> Iterator[Finding]:
    """Evaluate the remote of the running release."""
    remote = source.remote
    if isinstance(facts, Failure):
        text = f"the running release follows {source.refspec}, but ostree has no remote {remote}: {facts.message}"
        yield AREA.problem("remote", text, f"ostree remote add {remote} URL --gpg-import=KEYFILE")
        return
    change = f"ostree config --repo={REPO} set 'remote \"{remote}\".url' URL"
    match facts.answer:
        case Unreached(why=why, place=place):
            text = f"the remote {remote} cannot be reached, so nothing can be staged: {place}: {why}"
            yield AREA.problem("remote", text, f"fix the server or its address: {change}", source.refspec)
        case Reached(place=place):
            yield AREA.ok("remote", f"the remote {remote} can be reached", place, source.refspec)
        case None:
            yield AREA.ok("remote", f"the remote {remote} is not a server", source.refspec)
    if facts.verify:
        yield AREA.ok("signatures", f"signatures of releases from {remote} are verified")
    else:
        text = f"signatures of releases from {remote} are not verified: whoever controls its server controls this host"
        remedy = f"ostree config --repo={REPO} set 'remote \"{remote}\".gpg-verify' true, and import the key first: "
        yield AREA.warning("signatures", text, f"{remedy}ostree remote gpg-import {remote} -k KEYFILE")
