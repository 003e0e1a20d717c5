"""What the root helper lets through to an engine. Pure."""

from __future__ import annotations

import re

from tidegate.errors import ErrorKind, TidegateError

MAX_VERSION_CHARS = 200
MAX_PAYLOAD_CHARS = 1000
"""Above any image reference: 255 characters of name, a tag, a digest."""

# Never empty and never an option on a command line. Checksums, digests, image references.
_PAYLOAD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]*")
_STRICTER = {"ostree": re.compile(r"[0-9a-f]{64}")}


def checked_version(version: str) -> str:
    """The version, if it is something to show to people.

    Raises:
        TidegateError: ``engine.bad-argument``.
    """
    if not 0 < len(version) <= MAX_VERSION_CHARS or not version.isprintable():
        raise _refusal(f"{version[:100]!r} is no version: 1 to {MAX_VERSION_CHARS} printable characters")
    return version


def checked_payload(engine: str, payload: str) -> str:
    """The payload, if it may be one of the engine ``engine``.

    Raises:
        TidegateError: ``engine.bad-argument``.
    """
    allowed = _STRICTER.get(engine, _PAYLOAD)
    if len(payload) > MAX_PAYLOAD_CHARS or not allowed.fullmatch(payload):
        raise _refusal(f"{payload[:100]!r} is no payload of the engine {engine}")
    return payload


def _refusal(message: str) -> TidegateError:
    return TidegateError(ErrorKind.ENGINE_BAD_ARGUMENT, message, "check what the source of updates gives")
