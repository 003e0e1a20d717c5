"""Topics of announcements, each with its MESSAGE_ID: the list that the journal, the bus and the manual go by."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Topic(StrEnum):
    """The subject of a journal entry, and of an ``UpdateEvent`` on the bus.

    ``message_id`` is the journal's name for it, drawn at random once: ``journalctl MESSAGE_ID=...`` finds every entry
    of a topic on every host, and ``journalctl -x`` explains it from the catalogue (``systemd/tidegate.catalog``).
    Scripts and dashboards go by both, so neither ever changes.
    """

    message_id: str

    def __new__(cls, word: str, message_id: str) -> Self:
        """A member whose value is ``word``."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.message_id = message_id
        return member

    HOST_UNREADABLE = "host-unreadable", "8334cc054ae7447180c8d422d1d40d78"
    CHECK_FAILED = "check-failed", "4547a65d6979484d888bd085617c86d1"
    SOURCE_FLAWED = "source-flawed", "d75cc0e77c464f8198ce8620a7972121"
    DEAD_END = "dead-end", "ca0d0dbceb1042e1ba921a5b66aeb589"
    STAGED = "staged", "1bce90aabafe4bc882c224d1cfeaa314"
    WITHDRAWN = "withdrawn", "013a73e1f11b426491fa807dc2d1b065"
    STAGING_FAILED = "staging-failed", "0e1b2cfb8dda4a77b998fc43d28d555b"
    FINALIZING = "finalizing", "caae62430f4443ff8c93afe32213c5bb"
    CALLED_OFF = "called-off", "e215735804684148a0c0c49e555a2c26"
    GOING_DOWN = "going-down", "fecd9da5719e4d7ab365fbec8141c269"
    REBOOT_FAILED = "reboot-failed", "cc11b1faee934fc59a71c3765dc76040"
    DISARM_FAILED = "disarm-failed", "0c06460ddcf14b02ad982bec9c525d81"
    ATTEMPT_FAILED = "attempt-failed", "04d76fa910db4de6b37d3f9d061c5191"
    FELL_BACK = "fell-back", "61d7846964ae4791bee09a571f96c0ba"
    VERIFYING = "verifying", "97fddcc7a3c341f1884ba0e922181e21"
    APPLIED = "applied", "167045b0056e4700a0d9fd9b26f235cd"
    UNHEALTHY = "unhealthy", "0c4b65cc1ecb4e219511023a7b55f92e"
    PAUSED = "paused", "e007104ee5324980868f69db4d64d11f"
    RESUMED = "resumed", "ae283ddaf63d4d2cb8a65fb3fef1f5bc"
    ROLLING_BACK = "rolling-back", "57375b2ecdfc4402b39cdc2a15e95856"
    LEFT_OUTSIDE = "left-outside", "e752320a2e7a4711a344cd943c4f6e92"
    DENIED = "denied", "c98ecae54c2243658d588592843a106b"
    ALLOWED = "allowed", "13c6774232a445039b2fbbb30a192c43"
    LOCK_OWED = "lock-owed", "ecc9e14ae32a427587d3d2d6035b1586"
    LOCK_RETURNED = "lock-returned", "20bd0eac99fa4c12ad4b9342f16eb060"
    LOCK_FORGOTTEN = "lock-forgotten", "61179467a2504b1e9418dd79a465797c"
