"""What an announcement is about: the one list that the journal, the bus and the manual go by."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Topic(StrEnum):
    """The subject of a line in the journal, and of an ``UpdateEvent`` on the bus. The words are frozen."""

    HOST_UNREADABLE = "host-unreadable"
    CHECK_FAILED = "check-failed"
    DEAD_END = "dead-end"
    STAGED = "staged"
    WITHDRAWN = "withdrawn"
    STAGING_FAILED = "staging-failed"
    FINALIZING = "finalizing"
    CALLED_OFF = "called-off"
    GOING_DOWN = "going-down"
    REBOOT_FAILED = "reboot-failed"
    DISARM_FAILED = "disarm-failed"
    ATTEMPT_FAILED = "attempt-failed"
    FELL_BACK = "fell-back"
    VERIFYING = "verifying"
    APPLIED = "applied"
    UNHEALTHY = "unhealthy"
    PAUSED = "paused"
    RESUMED = "resumed"
    ROLLING_BACK = "rolling-back"
    LEFT_OUTSIDE = "left-outside"
    DENIED = "denied"
    ALLOWED = "allowed"
    LOCK_OWED = "lock-owed"
    LOCK_RETURNED = "lock-returned"
    LOCK_FORGOTTEN = "lock-forgotten"


MESSAGE_IDS: Mapping[Topic, str] = {
    Topic.HOST_UNREADABLE: "8334cc054ae7447180c8d422d1d40d78",
    Topic.CHECK_FAILED: "4547a65d6979484d888bd085617c86d1",
    Topic.DEAD_END: "ca0d0dbceb1042e1ba921a5b66aeb589",
    Topic.STAGED: "1bce90aabafe4bc882c224d1cfeaa314",
    Topic.WITHDRAWN: "013a73e1f11b426491fa807dc2d1b065",
    Topic.STAGING_FAILED: "0e1b2cfb8dda4a77b998fc43d28d555b",
    Topic.FINALIZING: "caae62430f4443ff8c93afe32213c5bb",
    Topic.CALLED_OFF: "e215735804684148a0c0c49e555a2c26",
    Topic.GOING_DOWN: "fecd9da5719e4d7ab365fbec8141c269",
    Topic.REBOOT_FAILED: "cc11b1faee934fc59a71c3765dc76040",
    Topic.DISARM_FAILED: "0c06460ddcf14b02ad982bec9c525d81",
    Topic.ATTEMPT_FAILED: "04d76fa910db4de6b37d3f9d061c5191",
    Topic.FELL_BACK: "61d7846964ae4791bee09a571f96c0ba",
    Topic.VERIFYING: "97fddcc7a3c341f1884ba0e922181e21",
    Topic.APPLIED: "167045b0056e4700a0d9fd9b26f235cd",
    Topic.UNHEALTHY: "0c4b65cc1ecb4e219511023a7b55f92e",
    Topic.PAUSED: "e007104ee5324980868f69db4d64d11f",
    Topic.RESUMED: "ae283ddaf63d4d2cb8a65fb3fef1f5bc",
    Topic.ROLLING_BACK: "57375b2ecdfc4402b39cdc2a15e95856",
    Topic.LEFT_OUTSIDE: "e752320a2e7a4711a344cd943c4f6e92",
    Topic.DENIED: "c98ecae54c2243658d588592843a106b",
    Topic.ALLOWED: "13c6774232a445039b2fbbb30a192c43",
    Topic.LOCK_OWED: "ecc9e14ae32a427587d3d2d6035b1586",
    Topic.LOCK_RETURNED: "20bd0eac99fa4c12ad4b9342f16eb060",
    Topic.LOCK_FORGOTTEN: "61179467a2504b1e9418dd79a465797c",
}
