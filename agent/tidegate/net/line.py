"""A line of JSON between agent and net-worker, as such: see :mod:`.wire` for what is in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypeAlias, cast

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


class WireError(ValueError):
    """A line that is none of ours."""


def to_line(fields: Mapping[str, object], limit_bytes: int) -> bytes:
    """One line, at most ``limit_bytes`` long.

    Raises:
        WireError: it would be longer.
    """
    line = json.dumps(fields, separators=(",", ":")).encode() + b"\n"
    if len(line) > limit_bytes:
        raise WireError(f"a line of {len(line)} bytes, more than {limit_bytes}")
    return line


def parsed(line: bytes) -> Json:
    """What is in ``line``.

    Raises:
        WireError: it is not JSON.
    """
    try:
        return cast(Json, json.loads(line))
    except (ValueError, RecursionError) as error:
        raise WireError(f"not JSON: {error}") from error
