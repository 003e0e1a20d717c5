"""Talking to the members of an etcd cluster through their JSON gateway (etcd 3.4 and later)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tidegate.coordinator.store.base import nonsense, unavailable
from tidegate.coordinator.store.etcd.connection import Endpoint, EtcdConnection, EtcdConnectionError, HttpAnswer
from tidegate.coordinator.store.etcd.gateway import AUTHENTICATE_PATH, Body, authenticate_body, authenticate_reply
from tidegate.errors import ErrorKind, TidegateError
from tidegate.jsonread import ShapeError
from tidegate.printable import one_line

REQUEST_SECS = 2.0
"""For one request to one member. An election takes about one second; a member without a quorum would take seven to say
so (3.4)."""

MAX_REQUESTS = 8
"""At a time. A group has one; what operators ask comes on top."""

_TEXT_CHARS = 200
_TOKEN_IS_OLD = ("invalid auth token", "revision of auth store is old")


@dataclass(frozen=True, slots=True)
class Account:
    """A user of etcd. The password is read anew for each token, so that it may be changed while this runs."""

    user: str
    password_file: str


class EtcdClient:
    """One conversation with whichever of ``endpoints`` answers; after an error it goes on to the next.

    A request is sent once. Only where etcd says that the token was no good, and therefore did nothing, it is sent a
    second time with a new one.
    """

    def __init__(self, endpoints: Sequence[Endpoint], account: Account | None) -> None:
        self._connections = [EtcdConnection(endpoint) for endpoint in endpoints]
        self._account = account
        self._at = 0
        self._token: str | None = None
        self._turns = asyncio.Semaphore(MAX_REQUESTS)

    async def post(self, path: str, body: Body) -> object:
        """The document that etcd answers with.

        Raises:
            TidegateError: ``coordinator.store-unavailable``: the request may have been carried out.
                ``coordinator.store-nonsense``: etcd refuses it, and would again.
        """
        if self._account is not None and self._token is None:
            self._token = await self._authenticate(self._account)
        token = self._token
        answer = await self._send(path, body, token)
        if self._account is not None and _is_old(answer):
            if self._token == token:
                self._token = await self._authenticate(self._account)
            answer = await self._send(path, body, self._token)
        return self._document(answer)

    async def aclose(self) -> None:
        """Close the connections."""
        for link in self._connections:
            await link.aclose()

    async def _authenticate(self, account: Account) -> str:
        body = authenticate_body(account.user, _password(account))
        try:
            return authenticate_reply(self._document(await self._send(AUTHENTICATE_PATH, body, None)))
        except ShapeError as error:
            raise nonsense(f"etcd gives no token: {error}", "look at what answers at coordinator.store") from error

    async def _send(self, path: str, body: Body, token: str | None) -> HttpAnswer:
        headers = _HEADERS if token is None else {**_HEADERS, "authorization": token}
        async with self._turns:
            at = self._at
            answer = await self._exchange(at, path, json.dumps(body).encode(), headers)
        if answer.status in _AWAY_STATUS or answer.status >= 500:
            raise self._away(at, _text(answer))
        return answer

    async def _exchange(self, at: int, path: str, body: bytes, headers: Mapping[str, str]) -> HttpAnswer:
        try:
            async with asyncio.timeout(REQUEST_SECS):
                return await self._connections[at].post(path, body, headers)
        except TimeoutError as error:
            raise self._away(at, "no answer in time") from error
        except EtcdConnectionError as error:
            raise self._away(at, str(error)) from error

    def _away(self, at: int, why: str) -> TidegateError:
        self._go_on_from(at)
        return unavailable(f"etcd at {self._connections[at].endpoint}: {why}", _AWAY)

    def _go_on_from(self, at: int) -> None:
        """Others that failed at the same member have moved on already."""
        if self._at == at:
            self._at = (at + 1) % len(self._connections)

    def _document(self, answer: HttpAnswer) -> object:
        if answer.status != 200:
            text = _text(answer)
            raise nonsense(f"etcd refuses: {text}", _remedy(text))
        try:
            return json.loads(answer.body)
        except (ValueError, RecursionError) as error:
            remedy = "look at what answers at coordinator.store"
            raise nonsense(f"not the gateway of etcd: {_text(answer)}", remedy) from error


_HEADERS: Mapping[str, str] = {"content-type": "application/json"}
_AWAY_STATUS = frozenset({408, 429})
_AWAY = "look at the cluster: etcdctl endpoint status --cluster"

_REMEDIES: Mapping[str, str] = {
    "user name is empty": "etcd has accounts: set coordinator.etcd.user and password_file",
    "authentication failed": "check coordinator.etcd.user and the content of its password_file",
    "authentication is not enabled": "take coordinator.etcd.user away, or: etcdctl auth enable",
    "permission denied": "grant the account's role readwrite on the prefix com.coreos.airlock/",
    "CommonName": "use a client certificate with an empty common name (etcd takes no other on this way), or none",
    "too large": "the group has more holders than fit into one record of etcd (about 40,000)",
}


def _remedy(text: str) -> str:
    return next((remedy for part, remedy in _REMEDIES.items() if part in text), "look at the log of etcd")


def _is_old(answer: HttpAnswer) -> bool:
    return answer.status in {400, 401} and any(part in _text(answer) for part in _TOKEN_IS_OLD)


def _text(answer: HttpAnswer) -> str:
    """What an error says, in one line; some are plain text (3.4: a certificate with a common name)."""
    try:
        document: object = json.loads(answer.body)
    except (ValueError, RecursionError):
        document = None
    match document:
        case {"error": str(text)} | {"message": str(text)}:
            return one_line(text, _TEXT_CHARS)
        case _:
            begin = answer.body[:_TEXT_CHARS].decode(errors="replace")
            return one_line(f"status {answer.status}: {begin}", _TEXT_CHARS)


def _password(account: Account) -> str:
    try:
        return Path(account.password_file).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        message = f"{account.password_file}: {why}"
        raise TidegateError(ErrorKind.CONFIG_INVALID, message, "put the password there, readable here") from error
