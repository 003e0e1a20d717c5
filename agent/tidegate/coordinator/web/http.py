"""Endpoints for clients and monitoring: the FleetLock protocol, health, metrics and the OpenAPI document."""

from __future__ import annotations

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from tidegate.clock import Clock
from tidegate.coordinator.model import Answer, DenialKind, Denied, Granted, Released
from tidegate.coordinator.service import Locks
from tidegate.coordinator.web import metrics
from tidegate.coordinator.web.app import Endpoint, RefusedError, Routes, read_body, while_connected
from tidegate.coordinator.web.auth import address_of
from tidegate.coordinator.web.metrics import Metrics
from tidegate.coordinator.web.openapi import document
from tidegate.coordinator.web.replies import answered, as_json, denial_of
from tidegate.coordinator.web.requests import denied_headers, read_call
from tidegate.errors import TidegateError
from tidegate.fleetlock.protocol import Verb

HEALTHZ = "/healthz"

GONE = "gone"
"""The metric label of a request whose client did not wait for the answer."""


class FleetLock:
    """``/v1/pre-reboot`` and ``/v1/steady-state``."""

    def __init__(self, locks: Locks, metrics: Metrics, clock: Clock) -> None:
        self._locks = locks
        self._metrics = metrics
        self._clock = clock

    def routes(self) -> Routes:
        """Both endpoints, POST only."""
        return {f"/v1/{verb.value}": {"POST": self._endpoint(verb)} for verb in Verb}

    def _endpoint(self, verb: Verb) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            self._metrics.incoming(verb)
            began_secs = self._clock.now().boot_secs
            name = DenialKind.INTERNAL.value
            try:
                answer = await self._answer(verb, request)
                name = _name(answer)
            except ClientDisconnect:
                name = GONE
                raise
            except RefusedError as refused:
                name = refused.kind.value
                raise
            except TidegateError as error:
                name = denial_of(error).kind.value
                raise
            finally:
                self._metrics.answered(verb, name, self._clock.now().boot_secs - began_secs)
            return answered(answer)

        return endpoint

    async def _answer(self, verb: Verb, request: Request) -> Answer:
        denied = denied_headers(request.scope["headers"])
        if denied is not None:
            return denied
        call = read_call(verb, await read_body(request), address_of(request))
        if isinstance(call, Denied):
            return call
        work = self._locks.call(call)
        return await (while_connected(request, work) if verb is Verb.PRE_REBOOT else work)


class Health:
    """``/healthz``, ``/metrics`` and ``/openapi.json``: open to all who can connect; none contains a host's id."""

    def __init__(self, locks: Locks, metrics: Metrics) -> None:
        self._locks = locks
        self._metrics = metrics

    def routes(self) -> Routes:
        """All three endpoints, GET only."""
        return {
            HEALTHZ: {"GET": self._healthz},
            "/metrics": {"GET": self._exposition},
            "/openapi.json": {"GET": self._openapi},
        }

    async def _healthz(self, request: Request) -> Response:  # noqa: ARG002 - an endpoint takes the request
        await self._locks.check()
        return as_json({"status": "ok"})

    async def _exposition(self, request: Request) -> Response:  # noqa: ARG002
        return Response(await self._metrics.exposition(), media_type=metrics.CONTENT_TYPE)

    async def _openapi(self, request: Request) -> Response:  # noqa: ARG002
        return as_json(document())


def _name(answer: Answer) -> str:
    """The metric label of an answer."""
    match answer:
        case Granted():
            return "granted"
        case Released():
            return "released"
        case Denied(kind=kind):
            return kind.value
