"""Records with every field set, and with the required fields only.

``fixtures/NAME.json`` holds each as the agent of its time wrote it. Neither changes afterwards: a new field gets a
sample that sets it, and a fixture (``json.dumps(encode(sample), indent=1, ensure_ascii=False)``), of its own.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from tidegate.fleetlock.account import LockAccount
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
from tidegate.release import Release
from tidegate.system.boot import BootInstance

_BOOT = BootInstance("11111111-0000-4000-8000-000000000000", soft_reboots=1, init_ticks=7)
_KERNEL_ONLY = BootInstance("11111111-0000-4000-8000-000000000000")
_OLD, _NEW = Release("41.20260202", "a" * 64), Release("41.20260302", "b" * 64)


def _march(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 3, 2, hour, minute, tzinfo=UTC)


FILLED = Records(
    intent=Intent(
        id="20260302T100000Z-11111111",
        boot=_BOOT,
        origin=_OLD,
        target=_NEW,
        purpose="update",
        reason="automatic",
        written_at=_march(10),
        had_entry=True,
        requested=RebootRequest(_march(10, 1), boot_secs=105.25),
        failed_units=("old.service", "über.service"),
        rollback_floor="41.20260101",
    ),
    lock=LockRecord(
        account=LockAccount(
            base_url="https://lock.example/",
            group="web",
            id="0123456789abcdef0123456789abcdef",
            timeout_secs=30.0,
            ca_file="/etc/ssl/fleet.pem",
            client_cert_file="/etc/ssl/host.pem",
            client_key_file="/etc/ssl/host.key",
            token_file="/etc/tidegate/token",
        ),
        boot=_BOOT,
        state="held",
        since=_march(9, 59),
        release="after-boot",
        tells=True,
    ),
    waiting=Waiting(_OLD.payload, _march(8), {"periodic": _march(8), "fleet_lock": _march(9)}),
    denied=(
        Denial(
            release=Release("41.20260215", "c" * 64),
            cause="unhealthy",
            evidence="web: no answer",
            at=_march(7),
            boot_id="22222222-0000-4000-8000-000000000000",
            journal_cursor="s=1;i=2",
        ),
    ),
    history=(
        Attempt(
            id="20260302T060000Z-22222222",
            origin=_OLD,
            target=Release("41.20260215", "c" * 64),
            purpose="manual",
            reason='try "it" (uid 0)',
            started_at=_march(6),
            ended_at=_march(7),
            outcome="rejected",
            detail="web: no answer",
        ),
    ),
    verification=Verification(_BOOT, began_secs=31.5, boots=2, bad="web: no answer"),
    rollback=RollbackDue(_NEW, _OLD, "41.20260302 is unhealthy", _march(10, 5), failed_units=("web.service",)),
    settled=_OLD,
    first_seen={_NEW.payload: _march(5)},
)

MINIMAL = Records(
    intent=Intent("20260302T100000Z-11111111", _KERNEL_ONLY, _OLD, _NEW, "update", "automatic", _march(10)),
    lock=LockRecord(
        LockAccount("https://lock.example/", "default", "0123456789abcdef0123456789abcdef", 30.0),
        _KERNEL_ONLY,
        "maybe_held",
        _march(9, 59),
    ),
    waiting=Waiting(_OLD.payload, _march(8)),
    denied=(Denial(Release("41.20260215", "c" * 64), "person", "denied by uid 0", _march(7)),),
    history=FILLED.history,
    verification=Verification(_KERNEL_ONLY, 31.5),
    rollback=RollbackDue(_NEW, _OLD, "41.20260302 is unhealthy", _march(10, 5)),
)

UNDER_WAY = Records(
    intent=replace(MINIMAL.intent, kind="soft-reboot") if MINIMAL.intent is not None else None,
    attempt=AttemptRecord(
        boot=_BOOT,
        target=_NEW,
        order="kill-then-download",
        purpose="manual",
        reason="fix (uid 0)",
        since=_march(9, 58),
        next_boot=_OLD.payload,
        begun=("take_lock", "stop_workload"),
    ),
)

AFTER_CUTS = Records(
    waiting=Waiting(_OLD.payload, _march(8), target=_NEW.payload),
    lock=replace(MINIMAL.lock, state="release_owed", unanswered_until_secs=65.5) if MINIMAL.lock is not None else None,
    history=(
        replace(FILLED.history[0], outcome="fell_back", cause="boot_loader_after_healthy_boots", healthy_secs=120.0),
    ),
    verification=Verification(_BOOT, 31.5, boots=4, cut_boots=3, healthy_secs=120.0, healthy_now_secs=60.0),
)

SAMPLES = {
    "empty": Records(),
    "minimal": MINIMAL,
    "filled": FILLED,
    "under_way": UNDER_WAY,
    "after_cuts": AFTER_CUTS,
}
