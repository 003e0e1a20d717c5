"""The process of the agent: what it does without, where its log goes, how it ends."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path


def run(config_roots: Sequence[Path] = ()) -> None:
    """Run the agent until it is stopped; ``config_roots`` take the place of the default folders."""
    _keep_small()
    import asyncio  # noqa: PLC0415 - only now, and so are all that import it

    from tidegate.app import Paths, run_agent  # noqa: PLC0415
    from tidegate.clock import SystemClock  # noqa: PLC0415
    from tidegate.errors import TidegateError  # noqa: PLC0415
    from tidegate.journal.log import log_to_journal  # noqa: PLC0415
    from tidegate.system.alarm import SystemAlarm  # noqa: PLC0415

    paths = Paths(config_roots=config_roots) if config_roots else Paths()
    clock = SystemClock()
    journal_log = log_to_journal(clock)
    try:
        asyncio.run(run_agent(paths, clock, SystemAlarm(clock), journal_log))
    except TidegateError as err:
        from tidegate.cli import exits  # noqa: PLC0415 - click, at the end

        exits.end_process(err)


def _keep_small() -> None:
    """Keep out what others load for their own sake: 5 of the 25 MiB that the resident agent may have are OpenSSL's.

    It speaks no TLS. asyncio does without where the import fails (``asyncio.sslproto`` of Python 3.11 to 3.13), and
    hashlib, which the host's id is made with, takes Python's own SHA-256 where ``_hashlib`` cannot be imported.
    dbus-next 0.2.3 loads PyGObject wherever it is installed: 3 MiB.
    """
    for name in ("ssl", "_hashlib", "gi"):
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # None is how an import is made to fail
