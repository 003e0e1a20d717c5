"""Read, verify and sign a file of TUF metadata."""
# pyright: reportPrivateImportUsage=false
# python-tuf and securesystemslib re-export without telling type checkers (7.0, 1.6); hence also the ignores below.

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from securesystemslib.signer import Signer  # type: ignore[attr-defined]  # re-exported
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, T  # type: ignore[attr-defined]  # re-exported
from tuf.api.serialization import DeserializationError

from tidegate.errors import ErrorKind, TidegateError
from tidegate.system import regular_file
from tidegate.trust.keys import KeyRole

MAX_METADATA_BYTES = 4 * 1024 * 1024
"""A bound on memory, above what hosts accept of any file of metadata."""

_LOST = "restore it from a backup; hosts reject versions older than those they have seen"


def loaded(path: Path, kind: type[T]) -> Metadata[T]:
    """Read metadata of type ``kind`` from ``path``, without verifying its signatures.

    Raises:
        TidegateError: ``trust.unusable``; it cannot be read, or has another type.
    """
    try:
        metadata = Metadata[T].from_bytes(regular_file.read(path, MAX_METADATA_BYTES))
    except OSError as error:
        raise unusable(f"{path}: {error.strerror}", f"tidegate trust init creates it; or {_LOST}") from error
    except DeserializationError as error:
        raise unusable(f"{path} is not valid TUF metadata", _LOST) from error
    if metadata.signed.type != kind.type:
        raise unusable(f"{path} is {metadata.signed.type}, not {kind.type}", _LOST)
    return metadata


def verify(judge: Root, role: str, metadata: Metadata[T], path: Path, remedy: str) -> None:
    """Verify that ``metadata``, read from ``path``, is signed with the keys that the root ``judge`` has for ``role``.

    Raises:
        TidegateError: ``trust.unusable``, with ``remedy``; it is not.
    """
    try:
        judge.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except RepositoryError as error:
        message = f"{path} is not signed with the {role} key of root {judge.version}"
        raise unusable(message, remedy) from error


def signed(metadata: Metadata[T], signers: Iterable[Signer], until: datetime) -> bytes:
    """Set the expiry of ``metadata``, sign it, and return its bytes."""
    metadata.signed.expires = until.replace(microsecond=0)
    metadata.signatures.clear()
    for signer in signers:
        metadata.sign(signer, append=True)
    return metadata.to_bytes()


def hand_over(root: Root, role: KeyRole, signer: Signer) -> None:
    """Make ``signer`` the only key of ``role`` in ``root``."""
    for name in role.roles:
        for keyid in tuple(root.roles[name].keyids):
            root.revoke_key(keyid, name)
        root.add_key(signer.public_key, name)


def unusable(message: str, remedy: str) -> TidegateError:
    """The error ``trust.unusable``: keys or repository are missing or invalid."""
    return TidegateError(ErrorKind.TRUST_UNUSABLE, message, remedy)
