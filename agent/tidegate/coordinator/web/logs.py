"""Where the coordinator's log goes: stderr, which is the journal, a container's log, or a terminal."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping

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
