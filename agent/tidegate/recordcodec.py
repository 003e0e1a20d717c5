"""The records as a JSON document.

The schema is frozen. A reader takes what it knows, keeps what it does not (at every level) and never refuses a higher
``schema`` number: after a rollback an older agent has to go on from what a newer one wrote. New fields are therefore
optional for ever, and no field changes its meaning.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tidegate.boot import BootInstance
from tidegate.clock import rfc3339
from tidegate.jsonshape import Node
from tidegate.lockserver import LockAccount
from tidegate.records import Attempt, Denial, Intent, LockRecord, LockRelease, RebootRequest, Records, Waiting
from tidegate.release import Release

SCHEMA = 1

_RELEASE = frozenset({"version", "payload"})
_BOOT = frozenset({"boot_id", "soft_reboots", "init_ticks"})
_PARTS = {
    "boot": _BOOT,
    "from": _RELEASE,
    "to": _RELEASE,
    "release": _RELEASE,
    "requested": frozenset({"at", "boot_secs"}),
}
"""The objects inside an intent, a denial, an attempt or a lock, with the keys that this agent knows of them."""


def encode(records: Records) -> dict[str, object]:
    """The document as JSON values."""
    return {
        **records.extra,
        "schema": records.extra.get("schema", SCHEMA),
        "intent": None if records.intent is None else _encode_intent(records.intent),
        "lock": None if records.lock is None else _encode_lock(records.lock),
        "waiting": None if records.waiting is None else _encode_waiting(records.waiting),
        "denied": [_encode_denial(denial) for denial in records.denied],
        "history": [encode_attempt(attempt) for attempt in records.history],
    }


def _encode_intent(intent: Intent) -> dict[str, object]:
    requested = intent.requested
    known: dict[str, object] = {
        "id": intent.id,
        "boot": _encode_boot(intent.boot),
        "from": _encode_release(intent.origin),
        "to": _encode_release(intent.target),
        "purpose": intent.purpose,
        "reason": intent.reason,
        "written_at": rfc3339(intent.written_at),
        "had_entry": intent.had_entry,
        "requested": requested and {"at": rfc3339(requested.at), "boot_secs": requested.boot_secs},
    }
    return _with_extra(known, intent.extra)


def _encode_lock(lock: LockRecord) -> dict[str, object]:
    account = lock.account
    known: dict[str, object] = {
        "server": account.base_url,
        "group": account.group,
        "id": account.id,
        "timeout_secs": account.timeout_secs,
        "ca_file": account.ca_file,
        "client_cert_file": account.client_cert_file,
        "client_key_file": account.client_key_file,
        "token_file": account.token_file,
        "boot": _encode_boot(lock.boot),
        "state": lock.state,
        "since": rfc3339(lock.since),
        "release_when": lock.release,
        "tells": lock.tells,
    }
    return _with_extra(known, lock.extra)


def _encode_waiting(waiting: Waiting) -> dict[str, object]:
    known: dict[str, object] = {
        "booted": waiting.booted,
        "since": rfc3339(waiting.since),
        "gates": {gate: rfc3339(since) for gate, since in waiting.gates.items()},
    }
    return _with_extra(known, waiting.extra)


def _encode_boot(boot: BootInstance) -> dict[str, object]:
    return {"boot_id": boot.boot_id, "soft_reboots": boot.soft_reboots, "init_ticks": boot.init_ticks}


def _encode_denial(denial: Denial) -> dict[str, object]:
    known: dict[str, object] = {
        "release": _encode_release(denial.release),
        "cause": denial.cause,
        "evidence": denial.evidence,
        "at": rfc3339(denial.at),
    }
    return _with_extra(known, denial.extra)


def encode_attempt(attempt: Attempt) -> dict[str, object]:
    """One attempt as JSON values; also the shape of ``tidegate history --json``."""
    known: dict[str, object] = {
        "id": attempt.id,
        "from": _encode_release(attempt.origin),
        "to": _encode_release(attempt.target),
        "purpose": attempt.purpose,
        "reason": attempt.reason,
        "started_at": rfc3339(attempt.started_at),
        "ended_at": rfc3339(attempt.ended_at),
        "outcome": attempt.outcome,
        "detail": attempt.detail,
    }
    return _with_extra(known, attempt.extra)


def _with_extra(known: dict[str, object], extra: Mapping[str, object]) -> dict[str, object]:
    """The known fields over what a newer writer added, in the object itself and in the objects inside it."""
    whole = {**extra, **known}
    for key in _PARTS.keys() & known.keys() & extra.keys():
        inner, added = known[key], extra[key]
        if isinstance(inner, dict) and isinstance(added, dict):
            whole[key] = {**added, **inner}
    return whole


def _encode_release(release: Release) -> dict[str, object]:
    return {"version": release.version, "payload": release.payload}


def decode(document: object) -> Records:
    """The inverse of :func:`encode`.

    Raises:
        ShapeError: a field that this agent needs is missing or of the wrong type; the text names the place.
    """
    node = Node.root(document)
    intent, lock, waiting = (node.optional_child(key) for key in ("intent", "lock", "waiting"))
    return Records(
        intent=None if intent is None else _decode_intent(intent),
        lock=None if lock is None else _decode_lock(lock),
        waiting=None if waiting is None else _decode_waiting(waiting),
        denied=tuple(_decode_denial(child) for child in node.children("denied")),
        history=tuple(_decode_attempt(child) for child in node.children("history")),
        extra=node.beyond({"intent", "lock", "waiting", "denied", "history"}),
    )


_INTENT_KEYS = frozenset({"id", "boot", "from", "to", "purpose", "reason", "written_at", "had_entry", "requested"})


def _decode_intent(node: Node) -> Intent:
    requested = node.optional_child("requested")
    return Intent(
        id=node.text("id"),
        boot=_decode_boot(node.child("boot")),
        origin=_decode_release(node.child("from")),
        target=_decode_release(node.child("to")),
        purpose=node.text("purpose"),
        reason=node.text("reason"),
        written_at=node.instant("written_at"),
        had_entry=node.flag("had_entry"),
        requested=None if requested is None else _decode_request(requested),
        extra=_extra(node, _INTENT_KEYS),
    )


def _decode_boot(node: Node) -> BootInstance:
    return BootInstance(node.text("boot_id"), node.integer("soft_reboots", 0), node.integer("init_ticks", 0))


_ACCOUNT_FILES = ("ca_file", "client_cert_file", "client_key_file", "token_file")
_LOCK_KEYS = frozenset(
    {"server", "group", "id", "timeout_secs", *_ACCOUNT_FILES, "boot", "state", "since", "release_when", "tells"}
)


def _decode_lock(node: Node) -> LockRecord:
    files = {key: node.optional_text(key) for key in _ACCOUNT_FILES}
    account = LockAccount(
        node.text("server"), node.text("group"), node.text("id"), node.number("timeout_secs"), **files
    )
    return LockRecord(
        account=account,
        boot=_decode_boot(node.child("boot")),
        state=node.text("state"),
        since=node.instant("since"),
        release=node.optional_text("release_when") or LockRelease.AFTER_HEALTH,
        tells=node.flag("tells"),
        extra=_extra(node, _LOCK_KEYS),
    )


def _decode_waiting(node: Node) -> Waiting:
    gates = node.child("gates")
    return Waiting(
        booted=node.text("booted"),
        since=node.instant("since"),
        gates={gate: gates.instant(gate) for gate in gates.fields},
        extra=_extra(node, {"booted", "since", "gates"}),
    )


def _decode_request(node: Node) -> RebootRequest:
    return RebootRequest(node.instant("at"), node.number("boot_secs"))


def _decode_denial(node: Node) -> Denial:
    return Denial(
        release=_decode_release(node.child("release")),
        cause=node.text("cause"),
        evidence=node.text("evidence"),
        at=node.instant("at"),
        extra=_extra(node, {"release", "cause", "evidence", "at"}),
    )


def _decode_attempt(node: Node) -> Attempt:
    known = {"id", "from", "to", "purpose", "reason", "started_at", "ended_at", "outcome", "detail"}
    return Attempt(
        id=node.text("id"),
        origin=_decode_release(node.child("from")),
        target=_decode_release(node.child("to")),
        purpose=node.text("purpose"),
        reason=node.text("reason"),
        started_at=node.instant("started_at"),
        ended_at=node.instant("ended_at"),
        outcome=node.text("outcome"),
        detail=node.text("detail"),
        extra=_extra(node, known),
    )


def _extra(node: Node, known: Collection[str]) -> dict[str, object]:
    """What a newer writer added to the object, and under the name of each object inside it what it added there."""
    inner = {
        key: node.child(key).beyond(_PARTS[key]) for key in _PARTS.keys() & known if node.fields.get(key) is not None
    }
    return node.beyond(known) | {key: added for key, added in inner.items() if added}


def _decode_release(node: Node) -> Release:
    return Release(version=node.text("version"), payload=node.text("payload"))
