"""The coordinator's log and audit log, on stderr: the journal, a container's log, or a terminal."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Mapping

from tidegate.coordinator.model import AuditEvent

_PRIORITY = {logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6}
_UNQUOTED = re.compile(r"[A-Za-z0-9_.:@/+-]+")

_audit = logging.getLogger("tidegate.audit")


def log_to_stderr(environment: Mapping[str, str] = os.environ) -> None:
    """Set up logging: for the journal a priority before each line (sd-daemon(3)), elsewhere time and level."""
    handler = logging.StreamHandler(sys.stderr)
    in_journal = "JOURNAL_STREAM" in environment
    handler.setFormatter(_Prioritised() if in_journal else logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # it logs each start, stop and malformed request
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs each request


def record_event(event: AuditEvent) -> None:
    """Write a change of a slot to the audit log."""
    record(event.what, group=event.group, id=event.id, by=event.by, detail=event.detail)


def record(what: str, **fields: str) -> None:
    """Write a line to the audit log; empty fields are left out.

    The line is ``audit what=taken group=workers id=... by=... detail="..."``.
    """
    text = " ".join(f"{name}={_value(value)}" for name, value in fields.items() if value)
    _audit.info("audit what=%s %s", what, text)


class _Prioritised(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Put the priority before each line of the text."""
        priority = _PRIORITY.get(record.levelno, 6)
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).splitlines())


def _value(text: str) -> str:
    """The text, quoted as a JSON string where needed: client input cannot forge another field or line."""
    return text if _UNQUOTED.fullmatch(text) else json.dumps(text)
