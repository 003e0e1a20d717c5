"""Texts that others wrote, made fit for journals, terminals and one line of an answer."""

from __future__ import annotations

import re

_USERINFO = re.compile(r"^([^/?#]*//)[^/?#]*@")


def without_password(url: str) -> str:
    """A well-formed address without user and password."""
    return _USERINFO.sub(r"\1***@", url)


def one_line(text: str, max_chars: int) -> str:
    """``text`` in one line of at most ``max_chars`` characters, with a blank for whatever is not printable.

    Anybody on the host may choose the name of an inhibitor, and a terminal obeys what it is sent: escape sequences and
    line breaks do not get through.
    """
    words = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return words if len(words) <= max_chars else f"{words[: max_chars - 3]}..."
