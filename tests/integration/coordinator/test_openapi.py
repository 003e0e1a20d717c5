"""The OpenAPI document against the application itself, by schemathesis."""

from __future__ import annotations

from typing import Any, cast

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import checks as own_checks
from schemathesis.specs.openapi import checks as openapi_checks
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.fakes.memory_locks import MemoryLocks
from tidegate.clock import SystemClock
from tidegate.coordinator.web.admin import Admin
from tidegate.coordinator.web.app import App
from tidegate.coordinator.web.auth import LOCAL_UID, OperatorAuth
from tidegate.coordinator.web.http import FleetLock, Health
from tidegate.coordinator.web.metrics import Metrics
from tidegate.coordinator.web.openapi import document

ANY: Any = openapi_checks  # its types are partly unknown
CHECKS: list[Any] = [
    cast(Any, own_checks).not_a_server_error,
    ANY.content_type_conformance,
    ANY.response_headers_conformance,
    ANY.response_schema_conformance,
    ANY.status_code_conformance,
    ANY.unsupported_method,
]


def application() -> ASGIApp:
    """The whole site, as an operator on this host reaches it."""
    clock = SystemClock()
    locks = MemoryLocks(clock=clock)
    metrics = Metrics(locks, clock)
    admin = Admin(locks, OperatorAuth((), ()), clock).routes()
    site = App({**FleetLock(locks, metrics, clock).routes(), **Health(locks, metrics).routes(), **admin})

    async def by_the_socket(scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})[LOCAL_UID] = 0
        await site(scope, receive, send)

    return by_the_socket


schema: Any = schemathesis.openapi.from_asgi("/openapi.json", application())


@schema.parametrize()  # type: ignore[untyped-decorator]  # schemathesis has no types for it
@settings(max_examples=40, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
def test_the_document_and_the_server_agree(case: Any) -> None:
    case.call_and_validate(checks=CHECKS)


def test_every_route_is_in_the_document() -> None:
    paths = {path for path, methods in document()["paths"].items() for _ in methods}
    assert paths == {
        *("/v1/pre-reboot", "/v1/steady-state", "/healthz", "/metrics", "/openapi.json"),
        *("/admin/v1/groups", "/admin/v1/history", "/admin/v1/release"),
    }


def test_the_document_is_valid() -> None:
    schema.validate()
