"""A client of etcd's JSON gateway (etcd 3.4 and later) with failover between the members of a cluster."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tidegate.coordinator.store.base import nonsense, unavailable
from tidegate.coordinator.store.etcd.connection import Endpoint, EtcdConnection, EtcdConnectionError, HttpAnswer
from tidegate.coordinator.store.etcd.gateway import AUTHENTICATE_PATH, Body, authenticate_body, authenticate_reply
from tidegate.errors import ErrorKind, TidegateError
from tidegate.jsonread import ShapeError
from tidegate.printable import one_line
from tidegate.system import regular_file

REQUEST_SECS = 2.0
"""The deadline of one request to one member. An election takes about one second; a member without a quorum would take
seven seconds to answer (3.4)."""

MAX_REQUESTS = 8
"""Requests at a time. Each group has one in flight, and operators' requests come on top."""

_TEXT_CHARS = 200
_TOKEN_EXPIRED = ("invalid auth token", "revision of auth store is old")


@dataclass(frozen=True, slots=True)
class Account:
    """A user of etcd. The password is read again for each token, so that it can be changed without a restart."""

    user: str
    password_file: str


class EtcdClient:
    """Sends requests to one of ``endpoints``; after an error, to the next.

    A request is sent once. Only if etcd rejects the token, and so has not carried it out, it is sent again with a new
    token.
    """

    def __init__(self, endpoints: Sequence[Endpoint], account: Account | None) -> None:
        self._connections = [EtcdConnection(endpoint) for endpoint in endpoints]
        self._account = account
        self._at = 0
        self._token: str | None = None
        self._limit = asyncio.Semaphore(MAX_REQUESTS)

    async def post(self, path: str, body: Body) -> object:
        """POST ``body``; the reply as parsed JSON.

        Raises:
            TidegateError: ``coordinator.store-unavailable``: the request may have been carried out.
                ``coordinator.store-nonsense``: etcd refuses the request, and would do so again.
        """
        if self._account is not None and self._token is None:
            self._token = await self._authenticate(self._account)
        token = self._token
        answer = await self._send(path, body, token)
        if self._account is not None and _is_expired(answer):
            if self._token == token:
                self._token = await self._authenticate(self._account)
            answer = await self._send(path, body, self._token)
        return self._document(answer)

    async def aclose(self) -> None:
        """Close the connections."""
        for connection in self._connections:
            await connection.aclose()

    async def _authenticate(self, account: Account) -> str:
        body = authenticate_body(account.user, _password(account))
        try:
            return authenticate_reply(self._document(await self._send(AUTHENTICATE_PATH, body, None)))
        except ShapeError as error:
            raise nonsense(f"etcd grants no token: {error}", "check what answers at coordinator.store") from error

    async def _send(self, path: str, body: Body, token: str | None) -> HttpAnswer:
        headers = _HEADERS if token is None else {**_HEADERS, "authorization": token}
        async with self._limit:
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
        self._fail_over(at)
        return unavailable(f"etcd at {self._connections[at].endpoint}: {why}", _AWAY)

    def _fail_over(self, at: int) -> None:
        """Go on to the next member, unless another request that failed at the same one has done so."""
        if self._at == at:
            self._at = (at + 1) % len(self._connections)

    def _document(self, answer: HttpAnswer) -> object:
        if answer.status != 200:
            text = _text(answer)
            raise nonsense(f"etcd refuses: {text}", _remedy(text))
        try:
            return json.loads(answer.body)
        except (ValueError, RecursionError) as error:
            remedy = "check what answers at coordinator.store"
            raise nonsense(f"not the gateway of etcd: {_text(answer)}", remedy) from error


_HEADERS: Mapping[str, str] = {"content-type": "application/json"}
_AWAY_STATUS = frozenset({408, 429})
_AWAY = "check the cluster: etcdctl endpoint status --cluster"

_REMEDIES: Mapping[str, str] = {
    "user name is empty": "etcd has authentication enabled: set coordinator.etcd.user and password_file",
    "authentication failed": "check coordinator.etcd.user and the content of its password_file",
    "authentication is not enabled": "remove coordinator.etcd.user, or: etcdctl auth enable",
    "permission denied": "grant the account's role readwrite on the prefix com.coreos.airlock/",
    "CommonName": "use a client certificate with an empty common name (etcd's gateway accepts no other), or none",
    "too large": "the group has more holders than fit into one record of etcd (about 40,000)",
}


def _remedy(text: str) -> str:
    return next((remedy for part, remedy in _REMEDIES.items() if part in text), "see the log of etcd")


def _is_expired(answer: HttpAnswer) -> bool:
    return answer.status in {400, 401} and any(part in _text(answer) for part in _TOKEN_EXPIRED)


def _text(answer: HttpAnswer) -> str:
    """The error's text on one line; some are plain text (3.4: a certificate with a common name)."""
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


_MAX_PASSWORD_BYTES = 64 * 1024


def _password(account: Account) -> str:
    try:
        return regular_file.read_secret(account.password_file, _MAX_PASSWORD_BYTES).decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        message = f"{account.password_file}: {why}"
        remedy = "put the password there, readable by the coordinator"
        raise TidegateError(ErrorKind.CONFIG_INVALID, message, remedy) from error
