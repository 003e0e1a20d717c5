"""Check and expand URLs with variables, such as ``https://updates.example.com/${stream}/``."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tidegate.config.problems import nearest, shown

VARIABLES = ("basearch", "group", "platform", "stream")

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f-\x9f\"<>\\^`{|}]")


def expand(url: str, values: Mapping[str, str]) -> str:
    """``url`` with each ``${name}`` replaced by its value in ``values``.

    Raises:
        KeyError: ``values`` lacks a variable of the URL.
    """
    return _VARIABLE.sub(lambda match: values[match[1]], url)


def why_bad(url: str, schemes: tuple[str, ...]) -> str | None:
    """Why ``url`` cannot be used; None where it can. A variable stands for any text without a slash."""
    for name in _VARIABLE.findall(url):
        if name not in VARIABLES:
            return _why_bad_variable(name)
    return _why_bad_plain(_VARIABLE.sub("x", url), schemes)


def _why_bad_variable(name: str) -> str:
    close = nearest(name, VARIABLES)
    hint = f"; did you mean ${{{close}}}?" if close else f"; there are {', '.join(VARIABLES)}"
    return f"it has the unknown variable {shown(name)}{hint}"


def _why_bad_plain(url: str, schemes: tuple[str, ...]) -> str | None:
    from urllib.parse import urlsplit  # noqa: PLC0415 - most configs have no URL to check

    if bad := _FORBIDDEN.search(url):
        return f"it has the character {bad[0]!r}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return str(error)
    if parts.scheme not in schemes:
        return f"it does not start with {' or '.join(f'{scheme}://' for scheme in schemes)}"
    if parts.scheme == "file":
        return None if not parts.netloc and parts.path.startswith("/") else "a file URL is file:///absolute/path"
    return None if parts.hostname and port != 0 else "it has no host, or the port 0"
