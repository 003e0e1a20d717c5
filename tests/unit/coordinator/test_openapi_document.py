"""The OpenAPI document's constants agree with the code. That replies match it is tested in tests/integration."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.clock import START, FakeClock
from tests.fakes.memory_locks import MemoryLocks
from tidegate import __version__
from tidegate.coordinator.model import AuditEvent, DenialKind, Denied, GroupView, Holder, Rules
from tidegate.coordinator.web import admin, requests, views
from tidegate.coordinator.web.auth import OperatorAuth
from tidegate.coordinator.web.http import FleetLock, Health
from tidegate.coordinator.web.metrics import Metrics
from tidegate.coordinator.web.openapi import document
from tidegate.coordinator.web.replies import REQUEST_TIMEOUT, STATUS
from tidegate.fleetlock.protocol import (
    EXTENSION,
    EXTENSIONS_HEADER_NAME,
    GROUP_PATTERN,
    HEADER_NAME,
    HEADER_VALUE,
    MAX_ID_CHARS,
    Verb,
)

DOCUMENT: Any = document()
SCHEMAS: Any = DOCUMENT["components"]["schemas"]
RESPONSES: Any = DOCUMENT["components"]["responses"]
RELEASE: Any = DOCUMENT["paths"][admin.RELEASE]["post"]["requestBody"]["content"]["application/json"]["schema"]
HISTORY: Any = DOCUMENT["paths"][admin.HISTORY]["get"]

BY_RESPONSE = {
    "InvalidRequest": {DenialKind.INVALID_REQUEST, DenialKind.MISSING_HEADER, DenialKind.UNKNOWN_GROUP},
    "Unauthorized": {DenialKind.UNAUTHORIZED},
    "NotFound": {DenialKind.NOT_FOUND},
    "RequestTooLarge": {DenialKind.REQUEST_TOO_LARGE},
    "NoSlot": {DenialKind.SEMAPHORE_FULL, DenialKind.SLOT_COOLING},
    "TooManyConnections": {DenialKind.RATE_LIMITED},
    "InternalError": {DenialKind.INTERNAL},
    "StoreUnavailable": {DenialKind.BACKEND_UNAVAILABLE},
}


def statuses(response: str) -> set[int]:
    """The statuses under which any operation refers to ``response``."""
    operations = [one for methods in DOCUMENT["paths"].values() for one in methods.values()]
    wanted = {"$ref": f"#/components/responses/{response}"}
    return {int(status) for one in operations for status, reply in one["responses"].items() if reply == wanted}


def test_the_version_is_the_packages() -> None:
    assert DOCUMENT["info"]["version"] == __version__


def test_paths_and_methods_are_those_that_are_routed() -> None:
    clock = FakeClock()
    locks = MemoryLocks(clock=clock)
    metrics = Metrics(locks, clock)
    routes = {
        **FleetLock(locks, metrics, clock).routes(),
        **Health(locks, metrics).routes(),
        **admin.Admin(locks, OperatorAuth((), ()), clock).routes(),
    }
    documented = {path: {method.upper() for method in methods} for path, methods in DOCUMENT["paths"].items()}
    assert documented == {path: {*methods} for path, methods in routes.items()}
    assert [DOCUMENT["paths"][f"/v1/{verb}"]["post"]["operationId"] for verb in Verb] == [*Verb]


@pytest.mark.parametrize("response", BY_RESPONSE)
def test_a_refusal_has_the_status_of_its_kinds(response: str) -> None:
    assert statuses(response) == {STATUS[kind] for kind in BY_RESPONSE[response]}


def test_every_refusal_is_documented() -> None:
    assert {*RESPONSES} == {*BY_RESPONSE, "RequestTimeout"}
    assert statuses("RequestTimeout") == {REQUEST_TIMEOUT}
    assert {*SCHEMAS["Kind"]["enum"]} == {kind.value for kind in DenialKind}


def test_headers_are_those_of_the_protocol() -> None:
    assert DOCUMENT["components"]["headers"]["Extensions"]["schema"] == {"const": EXTENSION}
    assert all({*one["headers"]} == {EXTENSIONS_HEADER_NAME} for one in RESPONSES.values())
    for verb in Verb:
        (parameter,) = DOCUMENT["paths"][f"/v1/{verb}"]["post"]["parameters"]
        assert (parameter["name"], parameter["in"], parameter["required"]) == (HEADER_NAME, "header", True)
        assert parameter["schema"]["enum"] == [HEADER_VALUE]


def test_limits_are_those_that_are_enforced() -> None:
    group = SCHEMAS["GroupName"]
    assert (group["pattern"], group["maxLength"]) == (f"^{GROUP_PATTERN.pattern}$", requests.MAX_GROUP_CHARS)
    assert SCHEMAS["Id"]["maxLength"] == MAX_ID_CHARS
    assert RELEASE["properties"]["reason"]["maxLength"] == admin.MAX_REASON_CHARS
    assert RELEASE["properties"]["operator"]["maxLength"] == admin.MAX_ON_BEHALF_CHARS
    (limit,) = [one["schema"] for one in HISTORY["parameters"] if one["name"] == "limit"]
    assert (limit["minimum"], limit["maximum"], limit["default"]) == (1, admin.MAX_HISTORY, admin.DEFAULT_HISTORY)


def test_documents_of_operators_have_the_keys_and_flags_that_are_sent() -> None:
    for path, methods in DOCUMENT["paths"].items():
        if path.startswith("/admin/"):
            (operation,) = methods.values()
            schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
            assert schema["properties"]["schema"] == {"const": admin.SCHEMA}
    view = GroupView("g", Rules(1), (Holder("a", None),), {"b": Denied(DenialKind.SEMAPHORE_FULL, "full", 5)})
    group: Any = views.group_document(view, START)
    event = views.audit_event_document(AuditEvent(START, "g", "a", "granted", "::1"))
    for schema, sent in (
        *(("Group", group), ("Holder", group["holders"][0]), ("Denial", group["waiting"][0])),
        ("AuditEvent", event),
    ):
        assert {*SCHEMAS[schema]["properties"]} == {*SCHEMAS[schema]["required"]} == {*sent}
    assert SCHEMAS["Group"]["properties"]["flags"]["items"]["enum"] == [views.OVER_LIMIT, views.NOT_CONFIGURED]
    assert SCHEMAS["Holder"]["properties"]["flags"]["items"]["enum"] == [views.NO_TIME, views.TWO_HOSTS]
