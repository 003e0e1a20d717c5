"""Where the coordinator's log goes: stderr, which is the journal, a container's log, or a terminal."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Mapping

from tidegate.coordinator.model import AuditEvent

_PRIORITY = {logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6}


def log_to_stderr(environment: Mapping[str, str] = os.environ) -> None:
    """The journal knows time and unit, and takes the priority in front of a line (sd-daemon(3)); others are told."""
    handler = logging.StreamHandler(sys.stderr)
    in_journal = "JOURNAL_STREAM" in environment
    handler.setFormatter(_Prioritised() if in_journal else logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # it tells of each start, stop and broken request
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells of each request to etcd


class _Prioritised(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Each line with its priority."""
        priority = _PRIORITY.get(record.levelno, 6)
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).splitlines())


_log = logging.getLogger("tidegate.audit")

_PLAIN = re.compile(r"[A-Za-z0-9_.:@/+-]+")


def happened(event: AuditEvent) -> None:
    """A slot changed hands."""
    record(event.what, group=event.group, id=event.id, by=event.by, detail=event.detail)


def record(what: str, **facts: str) -> None:
    """``audit what=taken group=workers id=... by=... detail="..."``; facts without a value are left out."""
    told = " ".join(f"{name}={_value(fact)}" for name, fact in facts.items() if fact)
    _log.info("audit what=%s %s", what, told)


def _value(text: str) -> str:
    """As it is, or as a JSON string, so that nothing that a client says can look like another field or line."""
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
