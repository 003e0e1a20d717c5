"""The operators' API: show groups and holders, show the history, and free the slot of a host that is gone."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from tidegate.clock import Clock
from tidegate.coordinator.model import DenialKind, Denied
from tidegate.coordinator.service import Locks
from tidegate.coordinator.web import logs
from tidegate.coordinator.web.app import Endpoint, RefusedError, Routes, read_body
from tidegate.coordinator.web.auth import Caller, OperatorAuth, address_of
from tidegate.coordinator.web.replies import as_json
from tidegate.coordinator.web.requests import MAX_GROUP_CHARS
from tidegate.coordinator.web.views import audit_event_document, group_document
from tidegate.fleetlock.protocol import MAX_ID_CHARS
from tidegate.jsonread import Node, ShapeError

SCHEMA = 1
GROUPS = "/admin/v1/groups"
RELEASE = "/admin/v1/release"
HISTORY = "/admin/v1/history"

DEFAULT_HISTORY = 100
MAX_HISTORY = 1000
MAX_REASON_CHARS = 500
MAX_ON_BEHALF_CHARS = 100

_LIMIT = re.compile(r"[0-9]{1,6}")

_Handler = Callable[[Request, Caller], Awaitable[Response]]


class Admin:
    """The operators' endpoints. Every call goes to the audit log, a refused one too."""

    def __init__(self, locks: Locks, operator_auth: OperatorAuth, clock: Clock) -> None:
        self._operator_auth = operator_auth
        self._locks = locks
        self._clock = clock

    def routes(self) -> Routes:
        """The three endpoints, each for operators only."""
        return {
            GROUPS: {"GET": self._for_operators(self._groups)},
            RELEASE: {"POST": self._for_operators(self._release)},
            HISTORY: {"GET": self._for_operators(self._history)},
        }

    def _for_operators(self, handler: _Handler) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            caller = self._operator_auth.admit(request)
            path = str(request.scope["path"])
            if isinstance(caller, Denied):
                logs.record("admin-refused", by=address_of(request), path=path, detail=caller.value)
                raise RefusedError(caller, {"www-authenticate": "Bearer"})
            logs.record("admin", by=str(caller), path=path)
            return await handler(request, caller)

        return endpoint

    async def _groups(self, request: Request, caller: Caller) -> Response:  # noqa: ARG002 - a handler takes both
        wanted = request.query_params.get("group")
        now = self._clock.now().wall
        views = [view for view in await self._locks.groups() if wanted in {None, view.name}]
        if wanted is not None and not views:
            raise RefusedError(Denied(DenialKind.UNKNOWN_GROUP, "there is no such group"))
        return as_json({"schema": SCHEMA, "groups": [group_document(view, now) for view in views]})

    async def _release(self, request: Request, caller: Caller) -> Response:
        form = _form(await read_body(request))
        holder, group = _text(form, "id", MAX_ID_CHARS), _optional(form, "group", MAX_GROUP_CHARS)
        reason = _text(form, "reason", MAX_REASON_CHARS)
        on_behalf = _optional(form, "operator", MAX_ON_BEHALF_CHARS)
        by = str(replace(caller, name=f"{caller.name} ({on_behalf})") if on_behalf else caller)
        freed = await self._locks.force_release(group, holder, by, reason)
        return as_json({"schema": SCHEMA, "id": holder, "freed": [{"group": name} for name in freed]})

    async def _history(self, request: Request, caller: Caller) -> Response:  # noqa: ARG002
        limit = request.query_params.get("limit", str(DEFAULT_HISTORY))
        if not (_LIMIT.fullmatch(limit) and 1 <= int(limit) <= MAX_HISTORY):
            raise _bad(f"`limit` takes a whole number from 1 to {MAX_HISTORY}")
        audit_events = await self._locks.history(request.query_params.get("group"), int(limit))
        return as_json({"schema": SCHEMA, "history": [audit_event_document(one) for one in audit_events]})


def _form(body: bytes) -> Node:
    try:
        return Node.root(json.loads(body.decode()), "the body")
    except (ValueError, RecursionError) as error:
        detail = str(error) if isinstance(error, ShapeError) else "the body is not JSON in UTF-8"
        raise _bad(detail) from None


def _text(form: Node, key: str, max_chars: int) -> str:
    try:
        text = form.text(key)
    except ShapeError as error:
        raise _bad(str(error)) from None
    if not text.strip() or len(text) > max_chars or not text.isprintable():
        raise _bad(f"`{key}` takes 1 to {max_chars} characters that can be printed")
    return text


def _optional(form: Node, key: str, max_chars: int) -> str | None:
    return None if form.fields.get(key) is None else _text(form, key, max_chars)


def _bad(why: str) -> RefusedError:
    return RefusedError(Denied(DenialKind.INVALID_REQUEST, why))
