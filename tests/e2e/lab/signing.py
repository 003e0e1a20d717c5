"""A throw-away OpenPGP key that releases are signed with."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.lab.process import must, run
from tidegate.publish.gpg import Signing

OWNER = "tidegate-lab"
UNSIGNED = Signing((), Path("/nonexistent"))


@dataclass(frozen=True, slots=True)
class Signer:
    """A key in its own keyring folder."""

    home: Path
    key_id: str

    @property
    def public_key(self) -> Path:
        """The exported public key, for a host to trust."""
        return self.home / "public.asc"

    @property
    def signing(self) -> Signing:
        """For whoever publishes."""
        return Signing((self.key_id,), self.home)


@contextmanager
def new_signer(home: Path) -> Generator[Signer]:
    """Make a key in the empty folder ``home``; gpg's agent, which would outlive us, is stopped at the end."""
    home.chmod(0o700)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet"]
    try:
        must([*gpg, "--passphrase", "", "--quick-generate-key", OWNER, "ed25519", "sign", "never"])
        listing = must([*gpg, "--with-colons", "--list-secret-keys"])
        signer = Signer(home, next(line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr:")))
        must([*gpg, "--armor", "--output", signer.public_key, "--export", OWNER])
        yield signer
    finally:
        run(["gpgconf", "--homedir", home, "--kill", "all"])
