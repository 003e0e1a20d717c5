"""Types that the coordinator's parts share: commands, answers, and what is kept of a group. No I/O.

::

    web  --Call-->  service  --Command-->  combiner, one for each group  --decide (pure)--Change-->  group_store
         <-Answer--          <-Answer----                                <--new version or conflict--
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from tidegate.fleetlock.protocol import ClientParams, UpdateParams, Verb


class DenialKind(StrEnum):
    """Why a request was refused: ``kind`` of the error object. Values are never renamed."""

    SEMAPHORE_FULL = "failed_lock_semaphore_full"
    SLOT_COOLING = "slot_cooling"
    ID_CONFLICT = "id_conflict"
    MISSING_HEADER = "missing_header"
    INVALID_REQUEST = "invalid_request"
    UNKNOWN_GROUP = "unknown_group"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    NOT_FOUND = "not_found"
    REQUEST_TOO_LARGE = "request_too_large"
    UNAUTHORIZED = "unauthorized"
    RATE_LIMITED = "rate_limited"
    BACKEND_UNAVAILABLE = "backend_unavailable"
    INTERNAL = "internal_error"


@dataclass(frozen=True, slots=True)
class Call:
    """A valid request of a client. ``address`` is the client's, for logs and operators."""

    verb: Verb
    client: ClientParams
    address: str
    update: UpdateParams | None = None


@dataclass(frozen=True, slots=True)
class ForceRelease:
    """An operator's command to free the slot of the host ``id``."""

    id: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class SyncSlots:
    """Write the number of slots of the rules into the record, for other servers that share it.

    It grants and releases nothing; the answer is always ``Released(held=False)``.
    """


Command = Call | ForceRelease | SyncSlots


@dataclass(frozen=True, slots=True)
class Holder:
    """A host that holds a slot.

    ``since`` is None where there is no trustworthy time: another server wrote the record, or the clock was known to be
    wrong. Such a holder is flagged, and never expires. ``last_seen`` is the time of its last lock request.
    ``conflicting_boot_id`` is that of another host that has sent requests with the same id meanwhile.
    """

    id: str
    since: datetime | None
    last_seen: datetime | None = None
    address: str | None = None
    update: UpdateParams | None = None
    conflicting_boot_id: str | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """The configuration of a group. ``lock_ttl_secs`` None: a slot is held until it is released."""

    slots: int
    lock_ttl_secs: int | None = None
    release_delay_secs: int = 0
    min_gap_secs: int = 0


@dataclass(frozen=True, slots=True)
class Granted:
    """The caller holds a slot; ``renewed`` if it held one before. ``revision`` is the store's with that grant in it."""

    renewed: bool
    revision: int


@dataclass(frozen=True, slots=True)
class Released:
    """The caller holds no slot; ``held`` if it held one before."""

    held: bool


@dataclass(frozen=True, slots=True)
class Denied:
    """The request is refused. ``value`` is a sentence for people; ``retry_after_secs`` None: there is no estimate."""

    kind: DenialKind
    value: str
    retry_after_secs: int | None = None


Answer = Granted | Released | Denied


@dataclass(frozen=True, slots=True)
class GroupView:
    """A group as operators see it. ``denials`` are the last denials of hosts that asked lately, by their ids.

    Not ``configured``: the group was removed from the configuration, or belongs to another server, and has holders.
    """

    name: str
    rules: Rules
    holders: tuple[Holder, ...]
    denials: Mapping[str, Denied] = field(default_factory=dict[str, Denied])
    configured: bool = True


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """An entry of the audit log and of the history.

    ``what`` is granted, released, expired, taken (by an operator) or rival (another host asked under a holder's id).
    ``by`` is an address, an operator or a rule.
    """

    at: datetime
    group: str
    id: str
    what: str
    by: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Semaphore:
    """The semaphore of a group.

    ``slots`` is for other servers that share the record; this one applies its rules. ``freed`` are the times of the
    releases whose slots may still have to cool down, ``granted_at`` is the time of the last grant, and ``as_of`` the
    latest time in the record, behind which the group's time never runs back.
    """

    slots: int = 0
    holders: Mapping[str, Holder] = field(default_factory=dict[str, Holder])
    freed: tuple[datetime, ...] = ()
    granted_at: datetime | None = None
    as_of: datetime | None = None
