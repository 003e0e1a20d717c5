"""What outlives a process and a boot: the intent, the deny list and the history.

They live in one document, so that one atomic write moves all of them together: an attempt is closed, its release
denied and its intent forgotten in the same instant or not at all.

The schema is frozen. A reader takes what it knows, keeps what it does not (at every level) and never refuses a higher
``schema`` number: after a rollback an older agent has to go on from what a newer one wrote. New fields are therefore
optional for ever, and no field changes its meaning. ``purpose`` and ``outcome`` are plain strings here for the same
reason: a newer agent may have words that this one has not.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from tidegate.boot import BootInstance
from tidegate.clock import Now, rfc3339
from tidegate.jsonshape import Node
from tidegate.release import Release

SCHEMA = 1
HISTORY_LENGTH = 100
"""Attempts kept. A host that updates weekly keeps two years; the document stays under 64 KiB."""

_NOTHING: Mapping[str, object] = MappingProxyType({})

_RELEASE = frozenset({"version", "payload"})
_PARTS = {
    "boot": frozenset({"boot_id", "soft_reboots", "init_ticks"}),
    "from": _RELEASE,
    "to": _RELEASE,
    "release": _RELEASE,
    "requested": frozenset({"at", "boot_secs"}),
}
"""The objects inside an intent, a denial or an attempt, with the keys that this agent knows of them."""


class Outcome(StrEnum):
    """What an attempt came to, decided after the boot."""

    APPLIED = "applied"
    FELL_BACK = "fell_back"
    FINALIZE_FAILED = "finalize_failed"
    NOT_ATTEMPTED = "not_attempted"


_VERDICTS = frozenset({Outcome.APPLIED, Outcome.FELL_BACK})


@dataclass(frozen=True, slots=True)
class RebootRequest:
    """When logind was asked: ``boot_secs`` counts in the boot of the intent and in no other."""

    at: datetime
    boot_secs: float


@dataclass(frozen=True, slots=True)
class Intent:
    """An attempt under way, written before anything of it is done.

    ``id`` names the attempt in history and journal. ``had_entry``: the target had a boot entry already (a release that
    was once booted and left), so that finding one after the boot is no proof that this attempt made it.
    """

    id: str
    boot: BootInstance
    origin: Release
    target: Release
    purpose: str
    reason: str
    written_at: datetime
    had_entry: bool = False
    requested: RebootRequest | None = None
    extra: Mapping[str, object] = field(default_factory=lambda: _NOTHING, compare=False)


@dataclass(frozen=True, slots=True)
class Denial:
    """A release that is never staged again until somebody lifts this."""

    release: Release
    cause: str
    evidence: str
    at: datetime
    extra: Mapping[str, object] = field(default_factory=lambda: _NOTHING, compare=False)


@dataclass(frozen=True, slots=True)
class Attempt:
    """An intent that has come to its end."""

    id: str
    origin: Release
    target: Release
    purpose: str
    reason: str
    started_at: datetime
    ended_at: datetime
    outcome: str
    detail: str
    extra: Mapping[str, object] = field(default_factory=lambda: _NOTHING, compare=False)


@dataclass(frozen=True, slots=True)
class Records:
    """The whole document."""

    intent: Intent | None = None
    denied: tuple[Denial, ...] = ()
    history: tuple[Attempt, ...] = ()
    extra: Mapping[str, object] = field(default_factory=lambda: _NOTHING, compare=False)

    def opened(self, intent: Intent) -> Records:
        """With ``intent`` as the attempt under way."""
        return replace(self, intent=intent)

    def closed(self, outcome: Outcome, detail: str, now: Now) -> Records:
        """With the attempt under way moved to the history; unchanged when there is none."""
        if self.intent is None:
            return self
        attempt = _close(self.intent, outcome, detail, now)
        return replace(self, intent=None, history=(*self.history, attempt)[-HISTORY_LENGTH:])

    def abandoned(self) -> Records:
        """With the attempt under way forgotten: it was taken back before it could come to anything."""
        return replace(self, intent=None)

    def with_denied(self, denial: Denial) -> Records:
        """With ``denial`` added; the first denial of a payload stands, with its evidence."""
        known = self.denial_of(denial.release.payload) is not None
        return self if known else replace(self, denied=(*self.denied, denial))

    def denial_of(self, payload: str) -> Denial | None:
        """Why ``payload`` is denied, or None."""
        return next((denial for denial in self.denied if denial.release.payload == payload), None)

    def failures_in_a_row(self, payload: str) -> int:
        """How many of the latest attempts at ``payload`` came to nothing without a verdict on the release."""
        count = 0
        for attempt in reversed(self.history):
            if attempt.target.payload != payload or attempt.outcome in _VERDICTS:
                break
            count += 1
        return count


_INTENT_ONLY = frozenset({"boot", "requested"})
"""Objects of an intent that its attempt does not have."""


def _close(intent: Intent, outcome: Outcome, detail: str, now: Now) -> Attempt:
    return Attempt(
        id=intent.id,
        origin=intent.origin,
        target=intent.target,
        purpose=intent.purpose,
        reason=intent.reason,
        started_at=intent.written_at,
        ended_at=now.wall,
        outcome=outcome,
        detail=detail,
        extra={key: value for key, value in intent.extra.items() if key not in _INTENT_ONLY},
    )


def encode(records: Records) -> dict[str, object]:
    """The document as JSON values."""
    return {
        **records.extra,
        "schema": records.extra.get("schema", SCHEMA),
        "intent": None if records.intent is None else _encode_intent(records.intent),
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
    intent = node.optional_child("intent")
    return Records(
        intent=None if intent is None else _decode_intent(intent),
        denied=tuple(_decode_denial(child) for child in node.children("denied")),
        history=tuple(_decode_attempt(child) for child in node.children("history")),
        extra=node.beyond({"intent", "denied", "history"}),
    )


_INTENT_KEYS = frozenset({"id", "boot", "from", "to", "purpose", "reason", "written_at", "had_entry", "requested"})


def _decode_intent(node: Node) -> Intent:
    boot = node.child("boot")
    requested = node.optional_child("requested")
    return Intent(
        id=node.text("id"),
        boot=BootInstance(boot.text("boot_id"), boot.integer("soft_reboots", 0), boot.integer("init_ticks", 0)),
        origin=_decode_release(node.child("from")),
        target=_decode_release(node.child("to")),
        purpose=node.text("purpose"),
        reason=node.text("reason"),
        written_at=node.instant("written_at"),
        had_entry=node.flag("had_entry"),
        requested=None if requested is None else _decode_request(requested),
        extra=_extra(node, _INTENT_KEYS),
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
