"""Texts that others wrote, made fit for journals, terminals and one line of an answer."""

from __future__ import annotations

import re

_USERINFO = re.compile(r"^([^/?#]*//)[^/?#]*@")
_SECRET = re.compile(r"([?&][^=&#]*(?:token|key|secret|passw|auth|sig)[^=&#]*=)[^&#]*", re.IGNORECASE)


def without_password(url: str) -> str:
    """A well-formed address without user and password, and without what its query calls a secret."""
    return _SECRET.sub(r"\1***", _USERINFO.sub(r"\1***@", url))


def one_line(text: str, max_chars: int) -> str:
    """``text`` in one line of at most ``max_chars`` characters, with a blank for whatever is not printable.

    Anybody on the host may choose the name of an inhibitor, and a terminal obeys what it is sent: escape sequences and
    line breaks do not get through.
    """
    words = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return words if len(words) <= max_chars else f"{words[: max_chars - 3]}..."


def duration(secs: float) -> str:
    """A length of time in its two largest units."""
    minutes, hours, days = secs / 60, secs / 3600, secs / 86400
    if minutes < 1:
        return f"{int(secs)} s"
    if hours < 1:
        return f"{int(minutes)} min"
    if days < 1:
        return f"{int(hours)} h {int(minutes % 60)} min"
    return f"{int(days)} d {int(hours % 24)} h"
