"""Make untrusted text safe to print: one line, no control characters, no secrets.

:func:`visible` keeps everything and escapes what does not print, for commands; :func:`one_line` shortens and drops it,
for messages that quote others.
"""

from __future__ import annotations

import os
import re
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_USERINFO = re.compile(r"^([^/?#]*//)[^/?#]*@")
_SECRET = re.compile(r"([?&][^=&#]*(?:token|key|secret|pass|pwd|auth|cred|sig)[^=&#]*=)[^&#]*", re.IGNORECASE)


def without_password(url: str) -> str:
    """``url`` with ``***`` in place of its user and password, and of query parameters that are named like secrets."""
    return _SECRET.sub(r"\1***", _USERINFO.sub(r"\1***@", url))


def one_line(text: str, max_chars: int) -> str:
    """``text`` on one line of at most ``max_chars`` characters, runs of blanks and unprintable characters collapsed.

    It keeps escape sequences and line breaks away from terminals and logs: any user of a host may choose the name of an
    inhibitor, for example.
    """
    words = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return words if len(words) <= max_chars else f"{words[: max_chars - 3]}..."


def visible(text: str) -> str:
    """``text`` on one line, with an escape such as ``\\x1b`` for each character that does not print."""
    return text if text.isprintable() else "".join(map(_visible, text))


def _visible(char: str) -> str:
    return char if char.isprintable() else char.encode("unicode_escape").decode("ascii")


def path_text(path: Path) -> str:
    """``path`` as printable text, with escapes for all other bytes."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


def duration(secs: float) -> str:
    """A duration for people, in its two largest units: ``2 h 5 min``."""
    minutes, hours, days = secs / 60, secs / 3600, secs / 86400
    if minutes < 1:
        return f"{int(secs)} s"
    if hours < 1:
        return f"{int(minutes)} min"
    if days < 1:
        return f"{int(hours)} h {int(minutes % 60)} min"
    return f"{int(days)} d {int(hours % 24)} h"


def moment(instant: datetime, *, seconds: bool = False) -> str:
    """An aware instant in UTC, and in this host's time zone if its clock shows another time.

    ``2026-03-02 23:00 UTC (Tue 00:00 CET)``. The zone may be changed while the process runs.
    """
    time.tzset()
    clock = "%H:%M:%S" if seconds else "%H:%M"
    local = instant.astimezone()
    beside = f" ({local:%a {clock}} {local.tzname()})" if local.utcoffset() != timedelta() else ""
    return f"{instant.astimezone(UTC):%Y-%m-%d {clock}} UTC{beside}"
