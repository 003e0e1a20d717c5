"""Area ``folders``: the agent's account, and owners and permissions of its files and folders."""

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
from tidegate.records.codec import MAX_RECORDS_BYTES, decode
from tidegate.system import regular_file

AREA = Area("folders")
USER = "tidegate"
ROOT_UID = 0

STATE = "var/lib/tidegate"
RECORDS = f"{STATE}/records.json"
_TMPFILES = "systemd-tmpfiles --create tidegate.conf && systemctl restart tidegate.service"


@dataclass(frozen=True, slots=True)
class Place:
    """A file or folder that has to belong to ``owner``, with permissions of at most ``most``.

    ``make`` is the command that creates it; empty if it may be missing.
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
"""Write access to a snippet or a record means control over when this host reboots, and into which release."""


@dataclass(frozen=True, slots=True)
class Facts:
    """``files`` by their path below the root. ``unreadable_records``: the error of parsing the records, or empty.

    ``loose_snippets``: snippets that users other than root own or may write.
    """

    files: Mapping[str, FileFacts]
    loose_snippets: tuple[FileFacts, ...]
    unreadable_records: str


async def examine(host: Host) -> Sequence[Finding]:
    """Check the account, files and folders."""
    facts = await in_thread(_read, host.root)
    return [*judge(facts, host.agent)]


def agent_user() -> AgentUser | None:
    """The agent's account and groups; None if there is no such account."""
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
        decode(json.loads(regular_file.read_nofollow(file, MAX_RECORDS_BYTES)))
    except (FileNotFoundError, PermissionError):  # reported by the check of the file
        return ""
    except OSError as err:
        return err.strerror or str(err)
    except (ShapeError, ValueError, RecursionError, OverflowError) as err:
        return str(err)
    return ""


def judge(facts: Facts, agent: AgentUser | None) -> Iterator[Finding]:
    """Evaluate the account, files and folders."""
    if agent is None:
        text = f"the agent's user {USER} does not exist"
        yield AREA.problem("user", text, "systemd-sysusers tidegate.conf && systemctl restart tidegate.service")
        return
    yield AREA.ok("user", f"the user {USER} exists", f"uid {agent.uid}")
    for place in PLACES:
        yield from judge_place(place, facts.files[place.path], agent)
    for file in facts.loose_snippets:
        text = f"not only root may change the configuration: {file.path} belongs to user {file.uid}, mode {file.octal}"
        yield AREA.problem("snippets", text, f"chown root: {file.path} && chmod go-w {file.path}")
    if facts.unreadable_records:
        text = f"the records cannot be parsed, so nothing is staged or rebooted: {facts.unreadable_records}"
        remedy = (
            f"restore /{RECORDS} from a backup; or, losing denied releases and the current attempt: "
            f"mv /{RECORDS} /{RECORDS}.broken && systemctl restart tidegate.service"
        )
        yield AREA.problem("records", text, remedy)


def judge_place(place: Place, file: FileFacts, agent: AgentUser) -> Iterator[Finding]:
    """Whether ``file`` has the owner and permissions that ``place`` requires."""
    if file.error:
        yield AREA.unknown(place.check, f"{file.path} cannot be read: {file.error}", AS_ROOT)
    elif not file.exists:
        if place.make:
            yield AREA.problem(place.check, f"{file.path} is missing", place.make)
    elif remedies := [*_remedies(place, file, agent)]:
        text = (
            f"{file.path} belongs to user {file.uid} with mode {file.octal}; it has to belong to {place.owner}, with "
        )
        yield AREA.problem(place.check, f"{text}at most {place.most:04o}", " && ".join(remedies))
    else:
        yield AREA.ok(place.check, f"{file.path} has the right owner and permissions", f"mode {file.octal}")


def _remedies(place: Place, file: FileFacts, agent: AgentUser) -> Iterator[str]:
    owner = ROOT_UID if place.owner == "root" else agent.uid
    if file.uid != owner:
        yield f"chown {place.owner}: {file.path}"
    if file.mode & ~place.most & 0o777:
        yield f"chmod {place.most:04o} {file.path}"
