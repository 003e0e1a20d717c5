"""Encode the records as a JSON document, and decode it.

One table for each record type lists its fields with their kinds and keys, in the order in which they are written
(:mod:`.table` encodes and decodes by them). A new field is a row, a new record type is a table.

The schema is frozen. A reader takes the fields that it knows, keeps those that it does not know (at every level), and
never rejects a higher ``schema`` number: after a rollback, an older agent has to continue from what a newer one wrote.
No field changes its meaning, and a new field is optional for ever: its default stands for a missing key.
"""

from __future__ import annotations

from dataclasses import replace

from tidegate.fleetlock.account import LockAccount
from tidegate.jsonread import Node
from tidegate.records.model import (
    Attempt,
    AttemptRecord,
    Denial,
    Intent,
    LockRecord,
    RebootRequest,
    Records,
    RollbackDue,
    Verification,
    Waiting,
)
from tidegate.records.table import (
    FLAG,
    INSTANT,
    INSTANTS,
    INTEGER,
    NUMBER,
    TEXT,
    TEXTS,
    Row,
    Table,
    array,
    inline,
    nested,
    nullable,
)
from tidegate.release import Release
from tidegate.system.boot import BootInstance

SCHEMA = 1

MAX_RECORDS_BYTES = 16 * 1024 * 1024
"""A hundred attempts take 64 KiB. A file that is larger by far was not written by an agent, and is not read."""

RELEASE = Table(Release, Row("version", TEXT), Row("payload", TEXT), omitted={"age_index", "metadata"})
"""The fields that identify a release; its source provides the others again."""

BOOT = Table(BootInstance, Row("boot_id", TEXT), Row("soft_reboots", INTEGER), Row("init_ticks", INTEGER))

REBOOT_REQUEST = Table(RebootRequest, Row("at", INSTANT), Row("boot_secs", NUMBER))

INTENT = Table(
    Intent,
    Row("id", TEXT),
    Row("boot", nested(BOOT)),
    Row("origin", nested(RELEASE), "from"),
    Row("target", nested(RELEASE), "to"),
    Row("purpose", TEXT),
    Row("reason", TEXT),
    Row("written_at", INSTANT),
    Row("had_entry", FLAG),
    Row("requested", nullable(nested(REBOOT_REQUEST))),
    Row("failed_units", TEXTS),
    Row("rollback_floor", nullable(TEXT)),
    Row("kind", nullable(TEXT)),
)

ATTEMPT_RECORD = Table(
    AttemptRecord,
    Row("boot", nested(BOOT)),
    Row("target", nested(RELEASE), "to"),
    Row("order", TEXT),
    Row("purpose", TEXT),
    Row("reason", TEXT),
    Row("since", INSTANT),
    Row("next_boot", nullable(TEXT)),
    Row("begun", TEXTS),
)

VERIFICATION = Table(
    Verification,
    Row("boot", nested(BOOT)),
    Row("began_secs", NUMBER),
    Row("boots", INTEGER),
    Row("bad", nullable(TEXT)),
    Row("cut_boots", INTEGER),
    Row("healthy_secs", NUMBER),
    Row("healthy_now_secs", NUMBER),
)

ROLLBACK = Table(
    RollbackDue,
    Row("origin", nested(RELEASE), "from"),
    Row("target", nested(RELEASE), "to"),
    Row("reason", TEXT),
    Row("since", INSTANT),
    Row("failed_units", TEXTS),
)

ACCOUNT = Table(
    LockAccount,
    Row("base_url", TEXT, "server"),
    Row("group", TEXT),
    Row("id", TEXT),
    Row("timeout_secs", NUMBER),
    Row("ca_file", nullable(TEXT)),
    Row("client_cert_file", nullable(TEXT)),
    Row("client_key_file", nullable(TEXT)),
    Row("token_file", nullable(TEXT)),
)

LOCK = Table(
    LockRecord,
    Row("account", inline(ACCOUNT)),
    Row("boot", nested(BOOT)),
    Row("state", TEXT),
    Row("since", INSTANT),
    Row("release", nullable(TEXT), "release_when"),
    Row("tells", FLAG),
    Row("unanswered_until_secs", NUMBER),
)

WAITING = Table(
    Waiting,
    Row("booted", TEXT),
    Row("since", INSTANT),
    Row("gates", INSTANTS, required=True),
    Row("target", nullable(TEXT)),
)

DENIAL = Table(
    Denial,
    Row("release", nested(RELEASE)),
    Row("cause", TEXT),
    Row("evidence", TEXT),
    Row("at", INSTANT),
    Row("boot_id", nullable(TEXT)),
    Row("journal_cursor", nullable(TEXT)),
)

ATTEMPT = Table(
    Attempt,
    Row("id", TEXT),
    Row("origin", nested(RELEASE), "from"),
    Row("target", nested(RELEASE), "to"),
    Row("purpose", TEXT),
    Row("reason", TEXT),
    Row("started_at", INSTANT),
    Row("ended_at", INSTANT),
    Row("outcome", TEXT),
    Row("detail", TEXT),
    Row("cause", nullable(TEXT)),
    Row("healthy_secs", NUMBER),
)

RECORDS = Table(
    Records,
    Row("intent", nullable(nested(INTENT))),
    Row("verification", nullable(nested(VERIFICATION))),
    Row("rollback", nullable(nested(ROLLBACK))),
    Row("lock", nullable(nested(LOCK))),
    Row("waiting", nullable(nested(WAITING))),
    Row("settled", nullable(nested(RELEASE))),
    Row("first_seen", nullable(INSTANTS)),
    Row("attempt", nullable(nested(ATTEMPT_RECORD))),
    Row("denied", array(DENIAL)),
    Row("history", array(ATTEMPT)),
)


def encode(records: Records) -> dict[str, object]:
    """The document as JSON values."""
    return RECORDS.encode(replace(records, extra={"schema": SCHEMA, **records.extra}))


def decode(document: object) -> Records:
    """The inverse of :func:`encode`.

    Raises:
        ShapeError: a required key is missing, or a value has the wrong type; the text names the place.
    """
    return RECORDS.decode(Node.root(document))


def encode_attempt(attempt: Attempt) -> dict[str, object]:
    """One attempt as JSON values; also the shape of ``tidegate history --json``."""
    return ATTEMPT.encode(attempt)
