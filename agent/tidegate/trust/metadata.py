"""One file of TUF's metadata: read, judged, signed."""
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
from tidegate.trust.keys import KeyRole

_LOST = "bring it back from a backup; hosts take nothing that is older than what they have seen"


def loaded(path: Path, kind: type[T]) -> Metadata[T]:
    """What is in ``path``, whoever signed it.

    Raises:
        TidegateError: ``trust.unusable``; it cannot be read, or is something else.
    """
    try:
        metadata = Metadata[T].from_bytes(path.read_bytes())
    except OSError as error:
        raise unusable(f"{path}: {error.strerror}", f"tidegate trust init makes it; or {_LOST}") from error
    except DeserializationError as error:
        raise unusable(f"{path} makes no sense", _LOST) from error
    if metadata.signed.type != kind.type:
        raise unusable(f"{path} is {metadata.signed.type}, not {kind.type}", _LOST)
    return metadata


def verify(judge: Root, role: str, metadata: Metadata[T], path: Path, remedy: str) -> None:
    """See that ``metadata``, which is in ``path``, is signed by whom ``judge`` names for ``role``.

    Raises:
        TidegateError: ``trust.unusable``; it is not.
    """
    try:
        judge.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except RepositoryError as error:
        message = f"{path} is not signed by the {role} key that root {judge.version} names"
        raise unusable(message, remedy) from error


def signed(metadata: Metadata[T], signers: Iterable[Signer], until: datetime) -> bytes:
    """``metadata``, good until then, as it is published."""
    metadata.signed.expires = until.replace(microsecond=0)
    metadata.signatures.clear()
    for signer in signers:
        metadata.sign(signer, append=True)
    return metadata.to_bytes()


def hand_over(root: Root, role: KeyRole, signer: Signer) -> None:
    """Let ``signer``, and nobody else, sign for ``role``."""
    for name in role.roles:
        for keyid in tuple(root.roles[name].keyids):
            root.revoke_key(keyid, name)
        root.add_key(signer.public_key, name)


def unusable(message: str, remedy: str) -> TidegateError:
    """Why keys or repository cannot be worked with."""
    return TidegateError(ErrorKind.TRUST_UNUSABLE, message, remedy)
