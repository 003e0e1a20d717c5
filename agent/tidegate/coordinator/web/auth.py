"""Who may ask for more than a lock: operators, by the socket on this host, by token or by client certificate."""

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

MIN_TOKEN_CHARS = 16
"""A shorter one can be guessed over the network."""

MAX_TOKEN_FILE_BYTES = 64 * 1024

CERTIFICATE_NAMES = "certificate_names"
"""Where a connection keeps the names in its client certificate: ``scope["state"]``."""

LOCAL_UID = "local_uid"
"""Where a connection by the operators' socket keeps the user at its other end."""

_NAME_AND_TOKEN = 2


@dataclass(frozen=True, slots=True)
class Caller:
    """An operator: by the name of token or certificate, or the user's id, and from where."""

    name: str
    address: str

    def __str__(self) -> str:
        return f"{self.name}@{self.address}"


@dataclass(frozen=True, slots=True)
class Token:
    """A token's name and the digest by which it is recognised; the token itself is not kept."""

    name: str
    digest: bytes

    @classmethod
    def of(cls, name: str, secret: str) -> Token:
        """What to keep of a secret."""
        return cls(name, _digest(secret))


class OperatorAuth:
    """Lets operators in. Over plain HTTP only those on this host: a token must not travel in the clear."""

    def __init__(self, tokens: Sequence[Token], certificate_names: Sequence[str]) -> None:
        self.allow(tokens, certificate_names)

    def allow(self, tokens: Sequence[Token], certificate_names: Sequence[str]) -> None:
        """From now on, these."""
        self._tokens = tuple(tokens)
        self._names = frozenset(certificate_names)

    def admit(self, request: Request) -> Caller | Denied:
        """Who this is, or why not."""
        address, state = address_of(request), request.scope.get("state", {})
        if LOCAL_UID in state:
            return Caller(f"uid {state[LOCAL_UID]}", "localhost")
        if request.url.scheme != "https" and not is_loopback(address):
            return _no("over plain HTTP operators are served on the coordinator's own host only; use https")
        for name in state.get(CERTIFICATE_NAMES, ()):
            if name in self._names:
                return Caller(name, address)
        name = self._token_name(request.headers.get("authorization", ""))
        return Caller(name, address) if name else _no("this needs an operator's token or client certificate")

    def _token_name(self, header: str) -> str | None:
        """The name of the token in an ``Authorization`` header. Takes as long for a wrong one as for a right one."""
        scheme, _, secret = header.partition(" ")
        if scheme.lower() != "bearer":
            return None
        digest = _digest(secret.strip())
        names = [token.name for token in self._tokens if hmac.compare_digest(token.digest, digest)]
        return names[0] if names else None


def address_of(request: Request) -> str:
    """Where a request came from: the peer of its connection. What a proxy says about it is not believed."""
    return request.client.host if request.client else ""


def names_in(certificate: Mapping[str, object]) -> tuple[str, ...]:
    """The common names and DNS names of a peer's certificate, as :meth:`ssl.SSLSocket.getpeercert` has it."""
    subject = cast(Iterable[Iterable[tuple[str, str]]], certificate.get("subject", ()))
    alternatives = cast(Iterable[tuple[str, str]], certificate.get("subjectAltName", ()))
    common = [value for part in subject for name, value in part if name == "commonName"]
    return (*common, *(value for name, value in alternatives if name == "DNS"))


def read_tokens(path: Path) -> tuple[Token, ...]:
    """The tokens in a file: one a line, or a name and a token; empty lines and those that begin with ``#`` are none.

    Raises:
        TidegateError: ``config.invalid``: it cannot be read, or has a token that is too short, or none.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_TOKEN_FILE_BYTES).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise _bad(path, f"cannot be read: {error}") from None
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    tokens = tuple(_token(path, number, words) for number, words in enumerate(lines, 1))
    if not tokens:
        raise _bad(path, "has no token in it")
    return tokens


def _token(path: Path, number: int, words: list[str]) -> Token:
    if len(words) > _NAME_AND_TOKEN:
        raise _bad(path, f"has more than a name and a token in its {number}. entry")
    if len(words[-1]) < MIN_TOKEN_CHARS:
        raise _bad(path, f"has a token of less than {MIN_TOKEN_CHARS} characters in its {number}. entry")
    return Token.of(words[0] if len(words) == _NAME_AND_TOKEN else "operator", words[-1])


def _digest(secret: str) -> bytes:
    """All of one length, so that comparing them tells nothing of the secret's."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def _no(why: str) -> Denied:
    return Denied(DenialKind.UNAUTHORIZED, why)


def _bad(path: Path, what: str) -> TidegateError:
    remedy = "put a long random token into it (openssl rand -hex 32), readable by the coordinator's user only"
    return TidegateError(ErrorKind.CONFIG_INVALID, f"the token file {path} {what}", remedy)
