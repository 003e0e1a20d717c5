"""Certificates for tests, made by openssl(1) as an operator would."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, in PEM."""

    certificate: str
    key: str


class Authority:
    """An authority of its own, in a folder."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._folder = folder
        self._own = Pair(str(folder / f"{name}.pem"), str(folder / f"{name}.key"))
        _openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"),
            *("-subj", f"/CN={name}", "-keyout", self._own.key, "-out", self._own.certificate),
            *("-addext", "keyUsage=critical,keyCertSign"),
        )

    @property
    def file(self) -> str:
        """Its certificate, for who is to trust it."""
        return self._own.certificate

    def issue(self, name: str, alternatives: str = "") -> Pair:
        """A certificate for ``name``; ``alternatives`` as openssl has them: ``DNS:x,IP:127.0.0.1``."""
        pair = Pair(str(self._folder / f"{name}.pem"), str(self._folder / f"{name}.key"))
        request, extensions = self._folder / f"{name}.csr", self._folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={alternatives}\n" if alternatives else "basicConstraints=CA:FALSE\n")
        _openssl(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}"),
            *("-keyout", pair.key, "-out", str(request)),
        )
        _openssl(
            *("x509", "-req", "-in", str(request), "-CA", self._own.certificate, "-CAkey", self._own.key),
            *("-CAcreateserial", "-days", "2", "-extfile", str(extensions), "-out", pair.certificate),
        )
        return pair


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=30)
