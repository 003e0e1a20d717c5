"""OpenPGP signing keys, and the key ids that OSTree shows for their signatures."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tidegate.publish.faults import refused
from tidegate.system import process

QUERY_SECS = 60.0
"""gpg starts its agent to list secret keys, and a smart card may be slow."""

# Printed by `ostree show` for every signature, verified or not (2022.7 to 2026.4).
_SIGNATURE = re.compile(r"Signature made .* key ID ([0-9A-F]{16})$", re.MULTILINE)
_SECRET_ROWS = frozenset({"sec", "ssb"})
_KEY_ID_FIELD, _ABILITIES_FIELD = 4, 11
_SIGNS = "s"


@dataclass(frozen=True, slots=True)
class Signing:
    """The ``keys`` to sign with, named as gpg accepts them, of the keyring in the folder ``home``."""

    keys: tuple[str, ...]
    home: Path

    @property
    def options(self) -> tuple[str, ...]:
        """The options for `ostree summary`; none without keys."""
        return (*(f"--gpg-sign={key}" for key in self.keys), f"--gpg-homedir={self.home}") if self.keys else ()


def default_home() -> Path:
    """The folder of gpg's default keyring."""
    return Path(os.environ.get("GNUPGHOME") or Path.home() / ".gnupg")


def signers(shown: str) -> frozenset[str]:
    """The ids of the keys that signed a commit, from the output of `ostree show`."""
    _, found, signatures = shown.rpartition("\nFound ")
    return frozenset(_SIGNATURE.findall(signatures) if found else ())


async def key_ids(signing: Signing, key: str) -> frozenset[str]:
    """The ids that signatures with ``key`` may have: its own and those of its signing subkeys.

    Raises:
        TidegateError: ``publish.refused``, if there is no such secret key; ``engine.*``, if gpg cannot be run.
    """
    argv = ("gpg", "--homedir", str(signing.home), "--batch", "--with-colons", "--list-secret-keys", key)
    done = await process.run(argv, deadline_secs=QUERY_SECS)
    ids = frozenset(_signing_ids(done.stdout))
    if done.returncode != 0 or not ids:
        raise refused(
            f"{signing.home} has no secret signing key {key}",
            f"list its keys: gpg --homedir {signing.home} --list-secret-keys",
        )
    return ids


def _signing_ids(listing: str) -> Iterator[str]:
    for fields in (line.split(":") for line in listing.splitlines()):
        if fields[0] in _SECRET_ROWS and _SIGNS in fields[_ABILITIES_FIELD]:
            yield fields[_KEY_ID_FIELD]
