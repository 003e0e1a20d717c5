"""Why a reboot is wanted."""

from __future__ import annotations

from enum import StrEnum


class Purpose(StrEnum):
    """Gates declare which of these they guard."""

    UPDATE = "update"
    ROLLBACK = "rollback"
    MANUAL = "manual"
