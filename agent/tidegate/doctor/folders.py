"""Area ``folders``: the agent's account, and what it keeps where, readable and writable for whom."""

from __future__ import annotations

import grp
import json
import pwd
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tidegate.doctor.base import AS_ROOT, AgentUser, Area, Finding, Host
from tidegate.doctor.reading import FileFacts, file_facts, in_thread, listed
from tidegate.jsonread import ShapeError
from tidegate.records.codec import decode

AREA = Area("folders")
USER = "tidegate"
ROOT_UID = 0

STATE = "var/lib/tidegate"
RECORDS = f"{STATE}/records.json"
_TMPFILES = "systemd-tmpfiles --create tidegate.conf"


@dataclass(frozen=True, slots=True)
class Place:
    """A file or folder that belongs to ``owner`` and has no permissions beyond ``most``.

    ``make`` is what makes it where it is missing; empty where it may be.
    """

    check: str
    path: str
    owner: str
    most: int
    make: str = ""


PLACES = (
    Place("state", STATE, USER, 0o750, "systemctl restart tidegate.service"),
    Place("records", RECORDS, USER, 0o640),
    Place("runtime", "run/tidegate", "root", 0o755, _TMPFILES),
    Place("public", "run/tidegate/public", USER, 0o755, _TMPFILES),
    Place("snippets", "usr/lib/tidegate/config.d", "root", 0o755, "tidegate install"),
    Place("snippets", "etc/tidegate/config.d", "root", 0o755),
    Place("snippets", "run/tidegate/config.d", "root", 0o755),
)
"""Who may write a snippet or a record decides when this host reboots, and into what."""


@dataclass(frozen=True, slots=True)
class Facts:
    """``files`` by the place's path. ``unreadable_records`` is why they cannot be made sense of, empty where they can.

    ``loose_snippets`` are those that others than root own or may write.
    """

    files: Mapping[str, FileFacts]
    loose_snippets: tuple[FileFacts, ...]
    unreadable_records: str


async def examine(host: Host) -> Sequence[Finding]:
    """Look at the account and the places."""
    facts = await in_thread(_read, host.root)
    return [*judge(facts, host.agent)]


def agent_user() -> AgentUser | None:
    """The agent's account, with the group that its unit adds."""
    try:
        account = pwd.getpwnam(USER)
    except KeyError:
        return None
    named = {group.gr_gid for group in grp.getgrall() if USER in group.gr_mem}
    return AgentUser(account.pw_uid, frozenset({account.pw_gid, *named}))


def _read(root: Path) -> Facts:
    folders = [root / place.path for place in PLACES if place.check == "snippets"]
    snippets = [file_facts(file) for folder in folders for file in listed(folder) if file.suffix == ".toml"]
    loose = tuple(file for file in snippets if file.exists and (file.uid != ROOT_UID or file.mode & 0o022))
    return Facts({place.path: file_facts(root / place.path) for place in PLACES}, loose, _records(root / RECORDS))


def _records(file: Path) -> str:
    try:
        decode(json.loads(file.read_bytes()))
    except (FileNotFoundError, PermissionError):  # the place's own check tells
        return ""
    except OSError as err:
        return err.strerror or str(err)
    except (ShapeError, ValueError, RecursionError, OverflowError) as err:
        return str(err)
    return ""


def judge(facts: Facts, agent: AgentUser | None) -> Iterator[Finding]:
    """What the account and the places come to."""
    if agent is None:
        text = f"there is no user {USER}, whom the agent runs as"
        yield AREA.problem("user", text, "systemd-sysusers tidegate.conf && systemctl restart tidegate.service")
        return
    yield AREA.ok("user", f"the user {USER} exists", f"uid {agent.uid}")
    for place in PLACES:
        yield from judge_place(place, facts.files[place.path], agent)
    for file in facts.loose_snippets:
        text = f"others than root may change the configuration: {file.path} belongs to {file.uid}, mode {file.octal}"
        yield AREA.problem("snippets", text, f"chown root: {file.path} && chmod go-w {file.path}")
    if facts.unreadable_records:
        text = f"the records make no sense, so nothing is staged or rebooted: {facts.unreadable_records}"
        remedy = (
            f"restore /{RECORDS} from a backup; or forget denied releases and any attempt under way: "
            f"mv /{RECORDS} /{RECORDS}.broken && systemctl restart tidegate.service"
        )
        yield AREA.problem("records", text, remedy)


def judge_place(place: Place, file: FileFacts, agent: AgentUser) -> Iterator[Finding]:
    """Whether ``file`` is as ``place`` has to be."""
    if file.error:
        yield AREA.unknown(place.check, f"{file.path} cannot be seen: {file.error}", AS_ROOT)
    elif not file.exists:
        if place.make:
            yield AREA.problem(place.check, f"{file.path} is missing", place.make)
    elif remedies := [*_mends(place, file, agent)]:
        text = (
            f"{file.path} belongs to user {file.uid} with mode {file.octal}; it should belong to {place.owner}, with "
        )
        yield AREA.problem(place.check, f"{text}at most {place.most:04o}", " && ".join(remedies))
    else:
        yield AREA.ok(place.check, f"{file.path} is as it should be", f"mode {file.octal}")


def _mends(place: Place, file: FileFacts, agent: AgentUser) -> Iterator[str]:
    owner = ROOT_UID if place.owner == "root" else agent.uid
    if file.uid != owner:
        yield f"chown {place.owner}: {file.path}"
    if file.mode & ~place.most & 0o777:
        yield f"chmod {place.most:04o} {file.path}"
