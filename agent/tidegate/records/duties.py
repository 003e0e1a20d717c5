"""Records of what is still to be done or waited for, as JSON objects: watch, rollback, lock, what waits."""

from __future__ import annotations

from tidegate.clock import rfc3339
from tidegate.fleetlock.account import LockAccount, LockRelease
from tidegate.jsonread import Node
from tidegate.records.model import LockRecord, RollbackDue, Verification, Waiting
from tidegate.records.values import (
    beyond,
    decode_boot,
    decode_instants,
    decode_release,
    encode_boot,
    encode_instants,
    encode_release,
    with_extra,
)

_ACCOUNT_FILES = ("ca_file", "client_cert_file", "client_key_file", "token_file")
_LOCK_KEYS = frozenset(
    {"server", "group", "id", "timeout_secs", *_ACCOUNT_FILES, "boot", "state", "since", "release_when", "tells"}
)


def encode_verification(verification: Verification) -> dict[str, object]:
    """The watch over a boot as JSON values."""
    known: dict[str, object] = {
        "boot": encode_boot(verification.boot),
        "began_secs": verification.began_secs,
        "boots": verification.boots,
        "bad": verification.bad,
    }
    return with_extra(known, verification.extra)


def encode_rollback(due: RollbackDue) -> dict[str, object]:
    """A rollback that is due as JSON values."""
    known: dict[str, object] = {
        "from": encode_release(due.origin),
        "to": encode_release(due.target),
        "reason": due.reason,
        "since": rfc3339(due.since),
        "failed_units": list(due.failed_units),
    }
    return with_extra(known, due.extra)


def encode_lock(lock: LockRecord) -> dict[str, object]:
    """A lock record as JSON values."""
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
        "boot": encode_boot(lock.boot),
        "state": lock.state,
        "since": rfc3339(lock.since),
        "release_when": lock.release,
        "tells": lock.tells,
    }
    return with_extra(known, lock.extra)


def encode_waiting(waiting: Waiting) -> dict[str, object]:
    """What waits as JSON values."""
    known: dict[str, object] = {
        "booted": waiting.booted,
        "since": rfc3339(waiting.since),
        "gates": encode_instants(waiting.gates),
    }
    return with_extra(known, waiting.extra)


def decode_verification(node: Node) -> Verification:
    """The inverse of :func:`encode_verification`."""
    return Verification(
        boot=decode_boot(node.child("boot")),
        began_secs=node.number("began_secs"),
        boots=node.integer("boots", 1),
        bad=node.optional_text("bad") or "",
        extra=beyond(node, {"boot", "began_secs", "boots", "bad"}),
    )


def decode_rollback(node: Node) -> RollbackDue:
    """The inverse of :func:`encode_rollback`."""
    return RollbackDue(
        origin=decode_release(node.child("from")),
        target=decode_release(node.child("to")),
        reason=node.text("reason"),
        since=node.instant("since"),
        failed_units=node.texts("failed_units"),
        extra=beyond(node, {"from", "to", "reason", "since", "failed_units"}),
    )


def decode_lock(node: Node) -> LockRecord:
    """The inverse of :func:`encode_lock`."""
    files = {key: node.optional_text(key) for key in _ACCOUNT_FILES}
    account = LockAccount(
        node.text("server"), node.text("group"), node.text("id"), node.number("timeout_secs"), **files
    )
    return LockRecord(
        account=account,
        boot=decode_boot(node.child("boot")),
        state=node.text("state"),
        since=node.instant("since"),
        release=node.optional_text("release_when") or LockRelease.AFTER_HEALTH,
        tells=node.flag("tells"),
        extra=beyond(node, _LOCK_KEYS),
    )


def decode_waiting(node: Node) -> Waiting:
    """The inverse of :func:`encode_waiting`."""
    return Waiting(
        booted=node.text("booted"),
        since=node.instant("since"),
        gates=decode_instants(node.child("gates")),
        extra=beyond(node, {"booted", "since", "gates"}),
    )
