"""Authenticate operators: by the Unix socket on this host, by token, or by client certificate."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from starlette.requests import Request

from tidegate.coordinator.addresses import is_loopback
from tidegate.coordinator.model import DenialKind, Denied
from tidegate.errors import ErrorKind, TidegateError
from tidegate.system import regular_file

MIN_TOKEN_CHARS = 16
"""A shorter token could be guessed over the network."""

MAX_TOKEN_FILE_BYTES = 64 * 1024

CERTIFICATE_NAMES = "certificate_names"
"""The key in ``scope["state"]`` of the names in the connection's client certificate."""

LOCAL_UID = "local_uid"
"""The key in ``scope["state"]`` of the user id of the peer, on the operators' socket."""

_NAME_AND_TOKEN = 2


@dataclass(frozen=True, slots=True)
class Caller:
    """An operator: the name of the token or certificate, or the user id, and the peer's address."""

    name: str
    address: str

    def __str__(self) -> str:
        return f"{self.name}@{self.address}"


@dataclass(frozen=True, slots=True)
class Token:
    """A token's name and digest; the token itself is not kept."""

    name: str
    digest: bytes

    @classmethod
    def of(cls, name: str, secret: str) -> Token:
        """Make the entry for a token."""
        return cls(name, _digest(secret))


class OperatorAuth:
    """Authenticates operators. Over plain HTTP only those on this host: a token must not travel in the clear."""

    def __init__(self, tokens: Sequence[Token], certificate_names: Sequence[str]) -> None:
        self.allow(tokens, certificate_names)

    def allow(self, tokens: Sequence[Token], certificate_names: Sequence[str]) -> None:
        """Replace the accepted tokens and certificate names."""
        self._tokens = tuple(tokens)
        self._names = frozenset(certificate_names)

    def admit(self, request: Request) -> Caller | Denied:
        """The operator who sent a request, or the denial for anybody else."""
        address, state = address_of(request), request.scope.get("state", {})
        if LOCAL_UID in state:
            return Caller(f"uid {state[LOCAL_UID]}", "localhost")
        if request.url.scheme != "https" and not is_loopback(address):
            return _no("over plain HTTP operators are served on the coordinator's own host only; use https")
        for name in state.get(CERTIFICATE_NAMES, ()):
            if name in self._names:
                return Caller(name, address)
        name = self._token_name(request.headers.get("authorization", ""))
        return Caller(name, address) if name else _no("an operator's token or client certificate is required")

    def _token_name(self, header: str) -> str | None:
        """The name of the token in an ``Authorization`` header; None where there is no such token.

        The time does not depend on how much of a token is right.
        """
        scheme, _, secret = header.partition(" ")
        if scheme.lower() != "bearer":
            return None
        digest = _digest(secret.strip())
        names = [token.name for token in self._tokens if hmac.compare_digest(token.digest, digest)]
        return names[0] if names else None


def address_of(request: Request) -> str:
    """The address of the connection's peer. Headers of a proxy are not trusted."""
    return request.client.host if request.client else ""


def names_in(certificate: Mapping[str, object]) -> tuple[str, ...]:
    """The common names and DNS names of a certificate, in the form of :meth:`ssl.SSLSocket.getpeercert`."""
    subject = cast(Iterable[Iterable[tuple[str, str]]], certificate.get("subject", ()))
    alternatives = cast(Iterable[tuple[str, str]], certificate.get("subjectAltName", ()))
    common = [value for part in subject for name, value in part if name == "commonName"]
    return (*common, *(value for name, value in alternatives if name == "DNS"))


def read_tokens(path: Path) -> tuple[Token, ...]:
    """The tokens in a file: a line has a token, or a name and a token; empty lines and lines with ``#`` are skipped.

    Raises:
        TidegateError: ``config.invalid``: the file cannot be read, has no token, or has one that is too short.
    """
    try:
        text = regular_file.read_secret(path, MAX_TOKEN_FILE_BYTES).decode()
    except OSError as error:
        raise _bad(path, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise _bad(path, f"cannot be read: {error}") from None
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    tokens = tuple(_token(path, number, words) for number, words in enumerate(lines, 1))
    if not tokens:
        raise _bad(path, "has no token in it")
    return tokens


def _token(path: Path, number: int, words: list[str]) -> Token:
    if len(words) > _NAME_AND_TOKEN:
        raise _bad(path, f"has more than a name and a token in entry {number}")
    if len(words[-1]) < MIN_TOKEN_CHARS:
        raise _bad(path, f"has a token of less than {MIN_TOKEN_CHARS} characters in entry {number}")
    return Token.of(words[0] if len(words) == _NAME_AND_TOKEN else "operator", words[-1])


def _digest(secret: str) -> bytes:
    """A digest of fixed length, so that the time of a comparison does not depend on the secret's length."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def _no(why: str) -> Denied:
    return Denied(DenialKind.UNAUTHORIZED, why)


def _bad(path: Path, what: str) -> TidegateError:
    remedy = "put a long random token into it (openssl rand -hex 32), readable by the coordinator's user only"
    return TidegateError(ErrorKind.CONFIG_INVALID, f"the token file {path} {what}", remedy)
