"""Signing keys: unencrypted PEM files that only their owner can read.

The name of a file has the role and the first digits of the key's id (``targets-3f2a91c0.pem``), so that a new key never
overwrites an old one. The root determines which keys are valid.
"""
# pyright: reportPrivateImportUsage=false
# python-tuf and securesystemslib re-export without telling type checkers (7.0, 1.6); hence also the ignores below.

from __future__ import annotations

import os
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]  # re-exported

from tidegate.errors import ErrorKind, TidegateError
from tidegate.system import regular_file

_OTHERS = 0o077
_MAX_KEY_BYTES = 64 * 1024
_SHOWN_CHARS = 8


class KeyRole(StrEnum):
    """The role of a key. ``ONLINE`` signs TUF's short-lived metadata, snapshot and timestamp."""

    ROOT = "root"
    TARGETS = "targets"
    ONLINE = "online"

    @property
    def roles(self) -> tuple[str, ...]:
        """The TUF roles of the key."""
        return ("snapshot", "timestamp") if self is KeyRole.ONLINE else (self.value,)


def make(folder: Path, role: KeyRole) -> CryptoSigner:
    """Generate a key and write it to ``folder`` durably.

    Raises:
        OSError: the file cannot be written.
    """
    signer = CryptoSigner.generate_ed25519()
    path = folder / f"{role}-{signer.public_key.keyid[:_SHOWN_CHARS]}.pem"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(signer.private_bytes)
        file.flush()
        os.fsync(handle)
    return signer


def find(folder: Path, role: KeyRole, wanted: Iterable[str]) -> CryptoSigner:
    """The key of ``role`` in ``folder`` whose id is in ``wanted``.

    Raises:
        TidegateError: ``trust.unusable``; there is no such key, or other users can read it.
    """
    allowed = frozenset(wanted)
    for path in sorted(folder.glob(f"{role}-*.pem")):
        signer = _read(path)
        if signer.public_key.keyid in allowed:
            return signer
    ids = ", ".join(sorted(keyid[:_SHOWN_CHARS] for keyid in allowed))
    remedy = f"copy {role}-{ids}.pem there from its storage"
    raise TidegateError(ErrorKind.TRUST_UNUSABLE, f"{folder} has none of the {role} keys in the root ({ids})", remedy)


def _read(path: Path) -> CryptoSigner:
    try:
        with regular_file.opened(path) as file:
            if os.fstat(file).st_mode & _OTHERS:
                message = f"{path} is accessible to users other than its owner"
                raise TidegateError(
                    ErrorKind.TRUST_UNUSABLE, message, f"chmod 600 {path}; rotate the key if another user has read it"
                )
            key = load_pem_private_key(os.read(file, _MAX_KEY_BYTES), None)
    except OSError as error:
        raise TidegateError(ErrorKind.TRUST_UNUSABLE, f"{path}: {error.strerror}", "run it as its owner") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _no_key(path) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _no_key(path)
    return CryptoSigner(key)


def _no_key(path: Path) -> TidegateError:
    message = f"{path} is not an unencrypted ed25519 key in PEM format"
    return TidegateError(ErrorKind.TRUST_UNUSABLE, message, "use the file that tidegate trust init made")
