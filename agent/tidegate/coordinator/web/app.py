"""The ASGI application: route by exact path, enforce deadlines, and answer every error as JSON."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tidegate.coordinator.model import DenialKind, Denied
from tidegate.coordinator.web.replies import REQUEST_TIMEOUT, denial_of, refusal
from tidegate.coordinator.web.requests import MAX_BODY_BYTES
from tidegate.errors import TidegateError
from tidegate.fleetlock.protocol import EXTENSION, EXTENSIONS_HEADER_NAME

Endpoint = Callable[[Request], Awaitable[Response]]
Routes = Mapping[str, Mapping[str, Endpoint]]
"""Endpoints by path, then by method."""

BODY_SECS = 10.0
"""For a body of at most 64 KiB; a client that takes longer is broken or hostile."""

REPLY_SECS = 30.0
"""A safety net: the store's own deadlines are shorter."""

SEND_SECS = 30.0

T = TypeVar("T")

_log = logging.getLogger(__name__)


class RefusedError(Exception):
    """Ends a request with an error object. ``status`` replaces the status of the denial's kind."""

    def __init__(self, denied: Denied, headers: Mapping[str, str] | None = None, status: int | None = None) -> None:
        super().__init__(denied.value)
        self.kind = denied.kind
        self.reply = refusal(denied, headers, status)


class App:
    """Answers each request exactly once, with the header that names the protocol's extension."""

    def __init__(self, routes: Routes) -> None:
        self._routes = routes
        self._logged_error: str | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI)."""
        try:
            reply = await self._reply(Request(scope, receive))
            reply.headers[EXTENSIONS_HEADER_NAME] = EXTENSION
            async with asyncio.timeout(SEND_SECS):
                await reply(scope, receive, send)
        except (ClientDisconnect, TimeoutError):  # the client has gone, or does not read
            return

    async def _reply(self, request: Request) -> Response:
        try:
            async with asyncio.timeout(REPLY_SECS):
                reply = await self._endpoint(request)(request)
        except RefusedError as refused:
            return refused.reply
        except TidegateError as error:
            return self._failed(error)
        except TimeoutError:
            return refusal(Denied(DenialKind.BACKEND_UNAVAILABLE, f"no answer within {REPLY_SECS:.0f} s"))
        except ClientDisconnect:
            raise
        except Exception:  # noqa: BLE001 - a defect in one request must not leave its client without an answer
            _log.exception("%s %s failed", request.method, request.scope["path"])
            return refusal(Denied(DenialKind.INTERNAL, "the lock server has a defect; see its log"))
        if request.method == "POST":  # it was answered by the store
            self._recovered()
        return reply

    def _endpoint(self, request: Request) -> Endpoint:
        methods = self._routes.get(request.scope["path"])
        if methods is None:
            raise RefusedError(Denied(DenialKind.NOT_FOUND, "there is nothing at this path"))
        endpoint = methods.get("GET" if request.method == "HEAD" else request.method)
        if endpoint is None:
            allowed = ", ".join((*methods, *(("HEAD",) if "GET" in methods else ())))
            denied = Denied(DenialKind.METHOD_NOT_ALLOWED, f"this path takes {allowed} only")
            raise RefusedError(denied, {"allow": allowed})
        return endpoint

    def _failed(self, error: TidegateError) -> Response:
        """Answer with the error, and log it unless the last logged error has the same kind."""
        denied = denial_of(error)
        if denied.kind in {DenialKind.BACKEND_UNAVAILABLE, DenialKind.INTERNAL} and error.kind != self._logged_error:
            self._logged_error = error.kind
            _log.error("%s: %s", error.kind, error)
        return refusal(denied)

    def _recovered(self) -> None:
        if self._logged_error is not None:
            self._logged_error = None
            _log.info("the store answers again")


async def read_body(request: Request, max_bytes: int = MAX_BODY_BYTES) -> bytes:
    """Read a request's body. One that is declared too long is refused before it is read.

    Raises:
        RefusedError: the body is too long or arrives too slowly.
    """
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared[:10]) > max_bytes:
        raise _too_large(max_bytes)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECS):
            async for piece in request.stream():
                body += piece
                if len(body) > max_bytes:
                    raise _too_large(max_bytes)
    except TimeoutError:
        denied = Denied(DenialKind.INVALID_REQUEST, f"the body did not arrive within {BODY_SECS:.0f} s")
        raise RefusedError(denied, {"connection": "close"}, REQUEST_TIMEOUT) from None
    return bytes(body)


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of ``work``, which is cancelled if the client goes away first. The body has been read before.

    A client that gave up waiting for a slot may have released it elsewhere by now: it must not get one any more.

    Raises:
        ClientDisconnect: the client has gone.
    """
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        task.cancel()
        gone.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _too_large(max_bytes: int) -> RefusedError:
    return RefusedError(Denied(DenialKind.REQUEST_TOO_LARGE, f"the body has more than {max_bytes} bytes"))
