"""Temporary keys to sign releases with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.integration.ostree.tiny_os import run


@dataclass(frozen=True, slots=True)
class Keys:
    """Two signing keys; hosts trust the first."""

    home: Path
    trusted: str
    other: str

    @classmethod
    def create(cls, home: Path) -> Keys:
        """Two new ones in an empty folder, whose path must be short: sockets of gpg's agent go there."""
        home.mkdir(mode=0o700)
        keys = cls(home, _make_key(home, "trusted"), _make_key(home, "other"))
        run("gpg", "--homedir", home, "--output", keys.trusted_file, "--armor", "--export", keys.trusted)
        return keys

    @property
    def trusted_file(self) -> Path:
        """The public half of the key that hosts trust."""
        return self.home / "trusted.asc"

    def sign_options(self, key: str) -> tuple[str, str]:
        """For ``ostree commit`` and ``ostree summary``."""
        return f"--gpg-sign={key}", f"--gpg-homedir={self.home}"

    def dismiss(self) -> None:
        """End gpg's agent."""
        run("gpgconf", "--homedir", self.home, "--kill", "all")


def _make_key(home: Path, name: str) -> str:
    gpg = ("gpg", "--homedir", home, "--batch", "--quiet")
    run(*gpg, "--passphrase", "", "--quick-generate-key", f"{name}@example.org", "ed25519", "sign", "never")
    listing = run(*gpg, "--with-colons", "--list-keys", f"{name}@example.org")
    return next(line for line in listing.splitlines() if line.startswith("fpr")).split(":")[9]
