"""The records as a JSON document.

The schema is frozen. A reader takes what it knows, keeps what it does not (at every level) and never refuses a higher
``schema`` number: after a rollback an older agent has to go on from what a newer one wrote. New fields are therefore
optional for ever, and no field changes its meaning.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tidegate.clock import rfc3339
from tidegate.jsonread import Node
from tidegate.records.duties import (
    decode_lock,
    decode_rollback,
    decode_verification,
    decode_waiting,
    encode_lock,
    encode_rollback,
    encode_verification,
    encode_waiting,
)
from tidegate.records.model import Attempt, Denial, Intent, RebootRequest, Records
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

SCHEMA = 1


def encode(records: Records) -> dict[str, object]:
    """The document as JSON values."""
    known: dict[str, object] = {
        "schema": records.extra.get("schema", SCHEMA),
        "intent": None if records.intent is None else _encode_intent(records.intent),
        "verification": None if records.verification is None else encode_verification(records.verification),
        "rollback": None if records.rollback is None else encode_rollback(records.rollback),
        "lock": None if records.lock is None else encode_lock(records.lock),
        "waiting": None if records.waiting is None else encode_waiting(records.waiting),
        "settled": None if records.settled is None else encode_release(records.settled),
        "first_seen": encode_instants(records.first_seen),
        "denied": [_encode_denial(denial) for denial in records.denied],
        "history": [encode_attempt(attempt) for attempt in records.history],
    }
    return with_extra(known, records.extra)


def _encode_intent(intent: Intent) -> dict[str, object]:
    requested = intent.requested
    known: dict[str, object] = {
        "id": intent.id,
        "boot": encode_boot(intent.boot),
        "from": encode_release(intent.origin),
        "to": encode_release(intent.target),
        "purpose": intent.purpose,
        "reason": intent.reason,
        "written_at": rfc3339(intent.written_at),
        "had_entry": intent.had_entry,
        "requested": requested and {"at": rfc3339(requested.at), "boot_secs": requested.boot_secs},
        "failed_units": list(intent.failed_units),
        "rollback_floor": intent.rollback_floor,
    }
    return with_extra(known, intent.extra)


def _encode_denial(denial: Denial) -> dict[str, object]:
    known: dict[str, object] = {
        "release": encode_release(denial.release),
        "cause": denial.cause,
        "evidence": denial.evidence,
        "at": rfc3339(denial.at),
        "boot_id": denial.boot_id,
        "journal_cursor": denial.journal_cursor,
    }
    return with_extra(known, denial.extra)


def encode_attempt(attempt: Attempt) -> dict[str, object]:
    """One attempt as JSON values; also the shape of ``tidegate history --json``."""
    known: dict[str, object] = {
        "id": attempt.id,
        "from": encode_release(attempt.origin),
        "to": encode_release(attempt.target),
        "purpose": attempt.purpose,
        "reason": attempt.reason,
        "started_at": rfc3339(attempt.started_at),
        "ended_at": rfc3339(attempt.ended_at),
        "outcome": attempt.outcome,
        "detail": attempt.detail,
    }
    return with_extra(known, attempt.extra)


def decode(document: object) -> Records:
    """The inverse of :func:`encode`.

    Raises:
        ShapeError: a field that this agent needs is missing or of the wrong type; the text names the place.
    """
    node = Node.root(document)
    first_seen = node.optional_child("first_seen")
    return Records(
        intent=_decoded(node, "intent", _decode_intent),
        verification=_decoded(node, "verification", decode_verification),
        rollback=_decoded(node, "rollback", decode_rollback),
        lock=_decoded(node, "lock", decode_lock),
        waiting=_decoded(node, "waiting", decode_waiting),
        settled=_decoded(node, "settled", decode_release),
        first_seen={} if first_seen is None else decode_instants(first_seen),
        denied=tuple(_decode_denial(child) for child in node.children("denied")),
        history=tuple(_decode_attempt(child) for child in node.children("history")),
        extra=beyond(node, _RECORDS_KEYS),
    )


_RECORDS_KEYS = frozenset(
    {"intent", "verification", "rollback", "lock", "waiting", "settled", "first_seen", "denied", "history"}
)


T = TypeVar("T")


def _decoded(node: Node, key: str, decode_child: Callable[[Node], T]) -> T | None:
    child = node.optional_child(key)
    return None if child is None else decode_child(child)


_INTENT_KEYS = frozenset(
    {
        *("id", "boot", "from", "to", "purpose", "reason", "written_at", "had_entry", "requested"),
        *("failed_units", "rollback_floor"),
    }
)


def _decode_intent(node: Node) -> Intent:
    requested = node.optional_child("requested")
    return Intent(
        id=node.text("id"),
        boot=decode_boot(node.child("boot")),
        origin=decode_release(node.child("from")),
        target=decode_release(node.child("to")),
        purpose=node.text("purpose"),
        reason=node.text("reason"),
        written_at=node.instant("written_at"),
        had_entry=node.flag("had_entry"),
        requested=None if requested is None else _decode_request(requested),
        failed_units=node.texts("failed_units"),
        rollback_floor=node.optional_text("rollback_floor") or "",
        extra=beyond(node, _INTENT_KEYS),
    )


def _decode_request(node: Node) -> RebootRequest:
    return RebootRequest(node.instant("at"), node.number("boot_secs"))


def _decode_denial(node: Node) -> Denial:
    return Denial(
        release=decode_release(node.child("release")),
        cause=node.text("cause"),
        evidence=node.text("evidence"),
        at=node.instant("at"),
        boot_id=node.optional_text("boot_id") or "",
        journal_cursor=node.optional_text("journal_cursor") or "",
        extra=beyond(node, {"release", "cause", "evidence", "at", "boot_id", "journal_cursor"}),
    )


def _decode_attempt(node: Node) -> Attempt:
    known = {"id", "from", "to", "purpose", "reason", "started_at", "ended_at", "outcome", "detail"}
    return Attempt(
        id=node.text("id"),
        origin=decode_release(node.child("from")),
        target=decode_release(node.child("to")),
        purpose=node.text("purpose"),
        reason=node.text("reason"),
        started_at=node.instant("started_at"),
        ended_at=node.instant("ended_at"),
        outcome=node.text("outcome"),
        detail=node.text("detail"),
        extra=beyond(node, known),
    )
