"""Area ``lock``: the fleet lock server, its certificate and the agent's key files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import cast

from tidegate.clock import SystemClock, rfc3339
from tidegate.doctor import lock_protocol
from tidegate.doctor.base import AS_ROOT, AgentUser, Area, Finding, Host
from tidegate.doctor.reach import SOON, Reached, Unreached, reach
from tidegate.doctor.reading import FileFacts, file_facts, in_thread
from tidegate.errors import TidegateError
from tidegate.fleetlock.account import FLEET_LOCK, LockAccount
from tidegate.fleetlock.settings import lock_account
from tidegate.net.tls import TlsFiles

AREA = Area("lock")

SECRETS = frozenset({"token_file", "client_key_file"})
HIDDEN_FOLDERS = ("/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/")  # noqa: S108 - named, not used
"""Folders that are hidden from the agent by its unit (ProtectHome, PrivateTmp)."""

_GRANT = "chgrp tidegate {0} && chmod 0640 {0}"
_ADMIT = "chgrp tidegate {0} && chmod g+x {0}"
_READ, _ENTER = 0o4, 0o1


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A file that the agent has to read. ``facts``: its parent folders from the root down, and the file."""

    what: str
    facts: tuple[FileFacts, ...]


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why the agent cannot read a file, and the remedy."""

    why: str
    remedy: str


async def examine(host: Host) -> Sequence[Finding]:
    """Connect to the server, if one is configured, and check the files."""
    settings = host.settings
    if FLEET_LOCK not in settings.updates.strategy:
        return [AREA.ok("server", "no lock server is used: fleet_lock is not among the strategies")]
    try:
        account = lock_account(settings, host.identity.variables, "doctor", host.identity.group)
    except TidegateError as err:
        return [AREA.problem("server", err.message, err.remedy)]
    files = await in_thread(_key_files, account)
    tls = TlsFiles(account.ca_file, account.client_cert_file, account.client_key_file)
    answer = await reach(account.base_url, tls)
    now = SystemClock().now().wall
    probed = await lock_protocol.examine(account) if isinstance(answer, Reached) else ()
    return [*judge_server(answer, now), *probed, *judge_files(files, host.agent), *judge_release(host.snapshot)]


def _key_files(account: LockAccount) -> tuple[KeyFile, ...]:
    named = {
        "token_file": account.token_file,
        "ca_file": account.ca_file,
        "client_cert_file": account.client_cert_file,
        "client_key_file": account.client_key_file,
    }
    return tuple(KeyFile(what, _path_facts(Path(path))) for what, path in named.items() if path)


def _path_facts(path: Path) -> tuple[FileFacts, ...]:
    return tuple(file_facts(step) for step in (*reversed(path.parents), path))


def judge_server(answer: Reached | Unreached, now: datetime) -> Iterator[Finding]:
    """Evaluate the connection and the certificate."""
    if isinstance(answer, Unreached):
        text = f"the lock server cannot be reached, so no update is finalized: {answer.place}: {answer.why}"
        yield AREA.problem(
            "server", text, "fix the server or updates.fleet_lock.base_url: tidegate config show --origin"
        )
        return
    yield AREA.ok("server", "the lock server can be reached", answer.place)
    if answer.expires_at is not None:
        left = answer.expires_at - now
        text = f"the lock server's certificate expires {rfc3339(answer.expires_at)}"
        soon = AREA.warning("certificate", f"{text}, in {left.days} days", "renew it on the server")
        yield soon if left < SOON else AREA.ok("certificate", text)


def judge_files(files: Sequence[KeyFile], agent: AgentUser | None) -> Iterator[Finding]:
    """Whether the agent can read its files, and others cannot read the secret ones."""
    for file in files:
        *_, last = file.facts
        found = None if agent is None else obstacle(file.facts, agent)
        if found is not None:
            text = f"the agent cannot read updates.fleet_lock.{file.what}: {found.why}"
            yield AREA.problem(file.what, text, found.remedy)
        elif file.what in SECRETS and last.mode & 0o007:
            text = f"the secret in {last.path} is accessible to every user (mode {last.octal})"
            yield AREA.warning(file.what, text, _GRANT.format(last.path))
        else:
            yield AREA.ok(file.what, f"the agent can read {last.path}", f"mode {last.octal}")


def obstacle(path: Sequence[FileFacts], agent: AgentUser) -> Obstacle | None:
    """Return why the agent cannot read the last entry of ``path``; None if it can. ACLs are not evaluated."""
    *folders, file = path
    if str(file.path).startswith(HIDDEN_FOLDERS):
        return Obstacle(f"{file.path} is hidden from its unit", "move it below /etc/tidegate")
    for step in path:
        if step.error:
            return Obstacle(f"{step.path} cannot be read: {step.error}", AS_ROOT)
        if not step.exists:
            return Obstacle(f"{step.path} does not exist", "create it, or correct the setting")
    closed = next((folder for folder in folders if not _permits(folder, agent, _ENTER)), None)
    if closed is not None:
        return Obstacle(f"it has no access to {closed.path} (mode {closed.octal})", _ADMIT.format(closed.path))
    if _permits(file, agent, _READ):
        return None
    why = f"{file.path} has mode {file.octal} and belongs to user {file.uid}"
    return Obstacle(why, _GRANT.format(file.path))


def _permits(file: FileFacts, agent: AgentUser, bit: int) -> bool:
    if file.uid == agent.uid:
        return bool(file.mode & bit << 6)
    return bool(file.mode & (bit << 3 if file.gid in agent.gids else bit))


def judge_release(snapshot: Mapping[str, object]) -> Iterator[Finding]:
    """Whether the release of an earlier slot is pending."""
    lock = snapshot.get("lock")
    fields = cast("dict[str, object]", lock) if isinstance(lock, dict) else {}
    if fields.get("state") == "release_owed":
        why = fields.get("why") or "not tried yet"
        text = f"a slot at {fields.get('server')} has not been released yet, which delays the next update: {why}"
        yield AREA.warning("owed", text, "fix that; if the server is gone for good: tidegate lock forget --reason TEXT")
