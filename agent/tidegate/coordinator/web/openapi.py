"""The OpenAPI description of what is served, from the constants by which it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tidegate import __version__
from tidegate.coordinator.model import DenialKind
from tidegate.coordinator.web.admin import (
    DEFAULT_HISTORY,
    GROUPS,
    HISTORY,
    MAX_HISTORY,
    MAX_ON_BEHALF_CHARS,
    MAX_REASON_CHARS,
    RELEASE,
    SCHEMA,
)
from tidegate.coordinator.web.requests import MAX_GROUP_CHARS
from tidegate.coordinator.web.views import NO_TIME, OVER_LIMIT, TWO_HOSTS
from tidegate.fleetlock.protocol import (
    EXTENSION,
    EXTENSIONS_HEADER_NAME,
    GROUP_PATTERN,
    HEADER_NAME,
    HEADER_VALUE,
    MAX_ID_CHARS,
    Verb,
)

Document = Mapping[str, Any]

OPENAPI = "3.1.0"

_PRINTABLE = r"^[\x20-\x7E\u00A1-\u00AC\u00AE-\u0377]+$"
"""A safe part of what is accepted; all of it is "characters that Unicode calls printable"."""

_GROUP = {"type": "string", "pattern": f"^{GROUP_PATTERN.pattern}$", "minLength": 1, "maxLength": MAX_GROUP_CHARS}
_ID = {"type": "string", "pattern": _PRINTABLE, "minLength": 1, "maxLength": MAX_ID_CHARS}

_REFUSALS: Mapping[int, str] = {
    400: "The request cannot be used.",
    401: "This needs an operator.",
    404: "There is nothing like that.",
    405: "The path takes another method.",
    408: "The rest of the request did not come.",
    413: "The body is too long.",
    423: "No slot is free now; `retry-after` says when to ask again.",
    429: "There are too many connections.",
    500: "The server has a defect.",
    503: "The store does not answer; nothing is known to have changed.",
}


def document() -> Document:
    """The description, ready for JSON."""
    return {
        "openapi": OPENAPI,
        "info": {
            "title": "Tidegate coordinator",
            "version": __version__,
            "description": "FleetLock: at most so many hosts of a group are down at a time.",
        },
        "paths": {**_fleetlock_paths(), **_health_paths(), **_admin_paths()},
        "components": {
            "schemas": {"Error": _error(), "Request": _request(), "Group": _group(), "Happening": _happening()},
            "securitySchemes": {"operator": {"type": "http", "scheme": "bearer"}, "certificate": {"type": "mutualTLS"}},
        },
    }


def _fleetlock_paths() -> Document:
    bodies = {
        Verb.PRE_REBOOT: ("Take a slot, or find that there is one.", _object({"grant": _text()}, ["grant"])),
        Verb.STEADY_STATE: ("Give the slot back, if there is one.", _object({"state": _text()}, ["state"])),
    }
    refusals = (400, 408, 413, 423, 429, 500, 503)
    return {
        f"/v1/{verb.value}": {
            "post": {
                "operationId": verb.value,
                "summary": summary,
                "parameters": [_protocol_header()],
                "requestBody": _content(_ref("Request"), required=True),
                "responses": {"200": _ok(schema), **_refused(refusals)},
            }
        }
        for verb, (summary, schema) in bodies.items()
    }


def _health_paths() -> Document:
    text = {"200": {"description": "Prometheus' text format.", "content": {"text/plain": {"schema": _text()}}}}
    alive = _ok(_object({"status": {"const": "ok"}}, ["status"]))
    return {
        "/healthz": {"get": _get("Whether locks can be served.", {"200": alive, **_refused((500, 503))})},
        "/metrics": {"get": _get("What can be watched.", {**text, **_refused((500, 503))})},
        "/openapi.json": {"get": _get("This.", {"200": _ok({"type": "object"}), **_refused((500, 503))})},
    }


def _admin_paths() -> Document:
    groups = _object({"schema": {"const": SCHEMA}, "groups": _array(_ref("Group"))}, ["schema", "groups"])
    history = _object({"schema": {"const": SCHEMA}, "history": _array(_ref("Happening"))}, ["schema", "history"])
    place = _object({"group": _text()}, ["group"])
    freed = _object({"schema": {"const": SCHEMA}, "id": _text(), "freed": _array(place)}, ["schema", "id", "freed"])
    form = _object(
        {
            "id": _ID,
            "group": _GROUP,
            "reason": _words(MAX_REASON_CHARS),
            "operator": _words(MAX_ON_BEHALF_CHARS),
        },
        ["id", "reason"],
    )
    limit = {"type": "integer", "minimum": 1, "maximum": MAX_HISTORY, "default": DEFAULT_HISTORY}
    refusals = (400, 401, 404, 408, 413, 429, 500, 503)
    return {
        GROUPS: {"get": _admin("Groups, holders, and who waits.", groups, refusals, [_query("group", _GROUP)])},
        HISTORY: {
            "get": _admin(
                "What happened, newest first.", history, refusals, [_query("group", _GROUP), _query("limit", limit)]
            )
        },
        RELEASE: {
            "post": {
                **_admin("Free the slot of a host that will not give it back.", freed, refusals, []),
                "requestBody": _content(form, required=True),
            }
        },
    }


def _request() -> Document:
    client = _object({"id": _ID, "group": _GROUP}, ["id", "group"])
    tag = _object({"version": _text(), "digest": _text()}, ["version", "digest"])
    update = _object({"agent": _text(), "boot_id": _text(), "current": tag, "target": tag}, [])
    return _object({"client_params": client, "update_params": update}, ["client_params"])


def _group() -> Document:
    numbers = {name: {"type": "integer"} for name in ("slots", "held", "release_delay_secs", "min_gap_secs")}
    fields = {
        "name": _text(),
        **numbers,
        "lock_ttl_secs": {"type": ["integer", "null"]},
        "flags": _array({"enum": [OVER_LIMIT]}),
        "holders": _array(_holder()),
        "waiting": _array(_waiting()),
    }
    return _object(fields, list(fields))


def _holder() -> Document:
    maybe = {"type": ["string", "null"]}
    tag = {"type": ["object", "null"]}
    names = ("since", "expires_at", "last_seen", "address", "agent", "boot_id", "rival_boot_id")
    fields = {
        "id": _text(),
        **dict.fromkeys(names, maybe),
        "held_secs": {"type": ["integer", "null"]},
        "from": tag,
        "to": tag,
        "flags": _array({"enum": [NO_TIME, TWO_HOSTS]}),
    }
    return _object(fields, list(fields))


def _waiting() -> Document:
    fields = {"id": _text(), "kind": _kind(), "why": _text(), "retry_after_secs": {"type": ["integer", "null"]}}
    return _object(fields, list(fields))


def _happening() -> Document:
    names = ["at", "group", "id", "what", "by", "detail"]
    return _object({name: _text() for name in names}, names)


def _error() -> Document:
    return _object({"kind": _kind(), "value": {"type": "string", "minLength": 1}}, ["kind", "value"])


def _kind() -> Document:
    return {"enum": [kind.value for kind in DenialKind]}


def _admin(summary: str, schema: Document, refusals: Iterable[int], parameters: list[Document]) -> Document:
    return {
        **_get(summary, {"200": _ok(schema), **_refused(refusals)}),
        "parameters": parameters,
        "security": [{"operator": []}, {"certificate": []}],
    }


def _get(summary: str, responses: Document) -> dict[str, Any]:
    return {"summary": summary, "responses": responses}


def _ok(schema: Document) -> Document:
    return {"description": "Yes.", "headers": _extension(), **_content(schema)}


def _refused(statuses: Iterable[int]) -> Document:
    return {
        str(status): {"description": _REFUSALS[status], "headers": _extension(), **_content(_ref("Error"))}
        for status in statuses
    }


def _extension() -> Document:
    return {EXTENSIONS_HEADER_NAME: {"required": True, "schema": {"const": EXTENSION}}}


def _protocol_header() -> Document:
    schema = {"type": "string", "enum": [HEADER_VALUE]}
    return {"name": HEADER_NAME, "in": "header", "required": True, "schema": schema}


def _query(name: str, schema: Document) -> Document:
    return {"name": name, "in": "query", "required": False, "schema": schema}


def _content(schema: Document, *, required: bool = False) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}, **({"required": True} if required else {})}


def _object(properties: Document, required: list[str]) -> Document:
    return {"type": "object", "properties": properties, "required": required}


def _array(items: Document) -> Document:
    return {"type": "array", "items": items}


def _text() -> Document:
    return {"type": "string"}


def _words(max_chars: int) -> Document:
    return {"type": "string", "pattern": r"^[!-~]([ -~]*)$", "minLength": 1, "maxLength": max_chars}


def _ref(name: str) -> Document:
    return {"$ref": f"#/components/schemas/{name}"}
