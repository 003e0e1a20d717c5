"""The agent's process: imports that it avoids, logging, and its exit."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path


def run(config_roots: Sequence[Path] = ()) -> None:
    """Run the agent until it is stopped; ``config_roots`` replace the default folders."""
    _keep_small()
    import asyncio  # noqa: PLC0415 - after _keep_small(), as are all modules that import it

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
    """Make imports fail that other modules try and can do without; OpenSSL alone takes 5 MiB of the agent's 25.

    The agent speaks no TLS. asyncio works without ssl where its import fails (``asyncio.sslproto`` of Python 3.11 to
    3.13), and hashlib, which derives the host's id, uses Python's own SHA-256 where ``_hashlib`` cannot be imported.
    dbus-next 0.2.3 imports PyGObject wherever it is installed: 3 MiB.
    """
    for name in ("ssl", "_hashlib", "gi"):
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # None makes an import fail
