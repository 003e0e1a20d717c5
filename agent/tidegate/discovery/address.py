"""Expand the variables in a configured URL."""

from __future__ import annotations

from collections.abc import Mapping

from tidegate.config.urls import expand
from tidegate.errors import ErrorKind, TidegateError


def resolved(key: str, url: str, variables: Mapping[str, str]) -> str:
    """``url``, the value of the setting ``key``, with its variables expanded.

    Raises:
        TidegateError: ``discovery.unavailable``; this host has no value for one of them.
    """
    try:
        return expand(url, variables)
    except KeyError as missing:
        name = missing.args[0]
        raise TidegateError(
            ErrorKind.DISCOVERY_UNAVAILABLE,
            f"{key} refers to ${{{name}}}, which is not known on this host",
            "set identity.stream" if name == "stream" else "write its value into the URL",
        ) from missing
