"""Validation of the arguments that callers pass to the helper. Pure."""

from __future__ import annotations

from dataclasses import replace

from tidegate.engines import registry, wire
from tidegate.errors import ErrorKind, TidegateError
from tidegate.release import Release

MAX_VERSION_CHARS = 200
MAX_PAYLOAD_CHARS = 1000
"""Above any image reference: 255 characters of name, a tag, a digest."""


def checked_release(engine: str, document: object) -> Release:
    """Return the release in ``document``, as :func:`tidegate.engines.wire.release_to_document` writes it.

    Raises:
        TidegateError: ``engine.bad-argument``: a field is missing, too long, of another type, or not of ``engine``.
    """
    try:
        release = wire.release_from_document(document)
    except ValueError as err:
        raise _refusal(f"the release cannot be read: {err}") from err
    version, payload = checked_version(release.version), checked_payload(engine, release.payload)
    return replace(release, version=version, payload=payload)


def checked_version(version: str) -> str:
    """Return ``version`` if people can read it.

    Raises:
        TidegateError: ``engine.bad-argument``.
    """
    if not 0 < len(version) <= MAX_VERSION_CHARS or not version.isprintable():
        raise _refusal(f"{version[:100]!r} is not a version: 1 to {MAX_VERSION_CHARS} printable characters")
    return version


def checked_payload(engine: str, payload: str) -> str:
    """Return ``payload`` if it has the form of the payloads of the engine ``engine``.

    Raises:
        TidegateError: ``engine.bad-argument``.
    """
    if len(payload) > MAX_PAYLOAD_CHARS or not registry.is_payload(engine, payload):
        raise _refusal(f"{payload[:100]!r} is not a payload of the engine {engine}")
    return payload


def _refusal(message: str) -> TidegateError:
    return TidegateError(ErrorKind.ENGINE_BAD_ARGUMENT, message, "check what the source of updates gives")
