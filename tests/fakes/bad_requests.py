"""Requests that no lock server should take, each with the answer that it should give. Data, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

PATH = "/v1/pre-reboot"
GOOD: dict[str, object] = {"client_params": {"id": "host-1", "group": "default"}}
GOOD_BODY = json.dumps(GOOD).encode()
PROTOCOL = (("fleet-lock-protocol", "true"),)

DEEP = 30_000
"""Deeper than any JSON parser that recurses; two bytes a level stay below the limit of a body."""


@dataclass(frozen=True, slots=True)
class Bad:
    """A request and its answer."""

    name: str
    status: int
    kind: str
    body: bytes = GOOD_BODY
    method: str = "POST"
    path: str = PATH
    headers: tuple[tuple[str, str], ...] = field(default=PROTOCOL)


def _client(**fields: object) -> bytes:
    return json.dumps({"client_params": fields}).encode()


_WRONG_TYPES: dict[str, str] = {
    "null": "null",
    "true": "true",
    "false": "false",
    "zero": "0",
    "number": "12345",
    "negative": "-1",
    "fraction": "1.5",
    "exponent": "1e400",
    "array": "[]",
    "array of strings": '["host-1"]',
    "object": "{}",
    "object with id": '{"id":"host-1"}',
    "nested array": "[[[]]]",
}

_BODIES: dict[str, bytes] = {
    "empty": b"",
    "space": b" ",
    "newline": b"\n",
    "nul": b"\0",
    "word": b"hello",
    "form": b"id=host-1&group=default",
    "xml": b"<client_params><id>host-1</id></client_params>",
    "yaml": b"client_params:\n  id: host-1\n  group: default\n",
    "toml": b'[client_params]\nid = "host-1"\ngroup = "default"\n',
    "open brace": b"{",
    "close brace": b"}",
    "open string": b'{"client_params',
    "cut short": GOOD_BODY[:-1],
    "cut in half": GOOD_BODY[:20],
    "trailing comma": b'{"client_params":{"id":"host-1","group":"default",}}',
    "trailing text": GOOD_BODY + b"x",
    "second document": GOOD_BODY + GOOD_BODY,
    "second document on a line": GOOD_BODY + b"\n" + GOOD_BODY,
    "trailing nul": GOOD_BODY + b"\0",
    "leading nul": b"\0" + GOOD_BODY,
    "single quotes": GOOD_BODY.replace(b'"', b"'"),
    "no quotes": b"{client_params:{id:host-1,group:default}}",
    "comment": b"/* hi */" + GOOD_BODY,
    "line comment": GOOD_BODY + b"// hi",
    "bom": b"\xef\xbb\xbf" + GOOD_BODY,
    "escaped bom": "\ufeff".encode() + GOOD_BODY,
    "utf-16": GOOD_BODY.decode().encode("utf-16"),
    "utf-16 le": GOOD_BODY.decode().encode("utf-16-le"),
    "utf-16 be": GOOD_BODY.decode().encode("utf-16-be"),
    "utf-32": GOOD_BODY.decode().encode("utf-32"),
    "latin-1 id": b'{"client_params":{"id":"h\xf6st","group":"default"}}',
    "broken utf-8 id": b'{"client_params":{"id":"host\xff","group":"default"}}',
    "overlong utf-8": b'{"client_params":{"id":"\xc0\xaf","group":"default"}}',
    "utf-8 surrogate": b'{"client_params":{"id":"\xed\xa0\x80","group":"default"}}',
    "broken utf-8 elsewhere": b'{"x":"\xff","client_params":{"id":"host-1","group":"default"}}',
    "raw newline in id": b'{"client_params":{"id":"a\nb","group":"default"}}',
    "raw tab in id": b'{"client_params":{"id":"a\tb","group":"default"}}',
    "bad escape": b'{"client_params":{"id":"\\x41","group":"default"}}',
    "short escape": b'{"client_params":{"id":"\\u00","group":"default"}}',
    "nan": b'{"x":NaN,"client_params":{"id":"host-1","group":"default"}}',
    "infinity": b'{"x":Infinity,"client_params":{"id":"host-1","group":"default"}}',
    "minus infinity": b'{"x":-Infinity,"client_params":{"id":"host-1","group":"default"}}',
    "nan alone": b"NaN",
    "leading zero": b'{"x":01,"client_params":{"id":"host-1","group":"default"}}',
    "hexadecimal": b'{"x":0x10,"client_params":{"id":"host-1","group":"default"}}',
    "plus sign": b'{"x":+1,"client_params":{"id":"host-1","group":"default"}}',
    "huge number": b'{"x":' + b"9" * 5000 + b',"client_params":{"id":"host-1","group":"default"}}',
    "deep arrays": b"[" * DEEP + b"]" * DEEP,
    "deep open arrays": b"[" * (2 * DEEP),
    "deep objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "deep unknown": b'{"x":' + b"[" * 25_000 + b"]" * 25_000 + b',"client_params":{"id":"host-1","group":"default"}}',
    "deep update": b'{"update_params":'
    + b"[" * 25_000
    + b"]" * 25_000
    + b',"client_params":{"id":"h","group":"default"}}',
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
    "random": bytes(range(256)),
    "client_params twice": b'{"client_params":{"id":"a","group":"g"},"client_params":{"id":"b","group":"g"}}',
    "id twice": b'{"client_params":{"id":"a","id":"b","group":"default"}}',
    "the same id twice": b'{"client_params":{"id":"a","id":"a","group":"default"}}',
    "group twice": b'{"client_params":{"id":"a","group":"default","group":"workers"}}',
    "unknown twice in client": b'{"client_params":{"id":"a","group":"default","x":1,"x":2}}',
    "unknown twice at the top": b'{"x":1,"x":2,"client_params":{"id":"a","group":"default"}}',
    "escaped key twice": b'{"client_params":{"id":"a","\\u0069d":"b","group":"default"}}',
    "empty object": b"{}",
    "other object": b'{"id":"host-1","group":"default"}',
    "upper case": b'{"CLIENT_PARAMS":{"id":"host-1","group":"default"}}',
    "camel case": b'{"clientParams":{"id":"host-1","group":"default"}}',
    "upper case id": b'{"client_params":{"ID":"host-1","group":"default"}}',
    "upper case group": b'{"client_params":{"id":"host-1","Group":"default"}}',
    "space in key": b'{"client_params ":{"id":"host-1","group":"default"}}',
    "array of requests": b"[" + GOOD_BODY + b"]",
    "string of a request": json.dumps(GOOD_BODY.decode()).encode(),
    "empty client": b'{"client_params":{}}',
    "no id": _client(group="default"),
    "no group": _client(id="host-1"),
    "empty id": _client(id="", group="default"),
    "empty group": _client(id="host-1", group=""),
    "both empty": _client(id="", group=""),
    "id of 257": _client(id="x" * 257, group="default"),
    "id of 1000": _client(id="x" * 1000, group="default"),
    "id of 60000": _client(id="x" * 60_000, group="default"),
    "wide id of 257": _client(id="\u00fc" * 257, group="default"),
    "group of 257": _client(id="host-1", group="x" * 257),
    "group of 60000": _client(id="host-1", group="x" * 60_000),
}

_BAD_ID_SIGNS: dict[str, str] = {
    "nul": "\0",
    "newline": "\n",
    "carriage return": "\r",
    "tab": "\t",
    "escape": "\x1b[2J",
    "bell": "\a",
    "backspace": "\b",
    "delete": "\x7f",
    "c1 control": "\x9b",
    "next line": "\x85",
    "line separator": "\u2028",
    "paragraph separator": "\u2029",
    "bidi override": "\u202e",
    "bidi isolate": "\u2066",
    "zero width space": "\u200b",
    "bom": "\ufeff",
    "soft hyphen": "\u00ad",
    "no-break space": "\u00a0",
    "lone high surrogate": "\ud800",
    "lone low surrogate": "\udfff",
    "private use": "\ue000",
    "unassigned": "\u0378",
    "noncharacter": "\uffff",
    "tag": "\U000e0041",
}

_BAD_GROUP_SIGNS = (
    *(" ", "_", "/", "\\", ":", ";", ",", "+", "*", "?", "!", "@", "#", "$", "%", "^", "&", "(", ")", "[", "]", "{"),
    *("}", "<", ">", "|", "~", "`", "'", '"', "=", "\0", "\n", "\r", "\t", "\x7f", "\u00e4", "\u0660", "\u212a"),
    *("\ud800", "\U0001f600", "%2F", "${x}", "\u202e"),
)

_HEADERS: dict[str, tuple[tuple[str, str], ...]] = {
    "no header": (),
    "TRUE": (("fleet-lock-protocol", "TRUE"),),
    "True": (("fleet-lock-protocol", "True"),),
    "false": (("fleet-lock-protocol", "false"),),
    "empty": (("fleet-lock-protocol", ""),),
    "1": (("fleet-lock-protocol", "1"),),
    "yes": (("fleet-lock-protocol", "yes"),),
    "truee": (("fleet-lock-protocol", "truee"),),
    "quoted": (("fleet-lock-protocol", '"true"'),),
    "true, true": (("fleet-lock-protocol", "true, true"),),
    "true;q=1": (("fleet-lock-protocol", "true;q=1"),),
    "false first": (("fleet-lock-protocol", "false"), ("fleet-lock-protocol", "true")),
    "underscores": (("fleet_lock_protocol", "true"),),
    "x- prefix": (("x-fleet-lock-protocol", "true"),),
    "singular": (("fleet-lock", "true"),),
}

_METHODS = ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")

_PATHS = (
    *("/", "/v1", "/v1/", "/v1/pre-reboot/", "//v1/pre-reboot", "/v1//pre-reboot", "/V1/pre-reboot", "/v1/Pre-Reboot"),
    *("/v1/pre_reboot", "/v1/steady-state/", "/v1/steady", "/v2/pre-reboot", "/pre-reboot", "/v1/pre-reboot%00"),
    *("/v1/pre-reboot%2F", "/v1/pre-reboot;x=1", "/v1/pre-reboot.json", "/admin", "/v1/health"),
)


def all_bad() -> Iterator[Bad]:
    """Each of them; names are unique."""
    yield from (Bad(f"body: {name}", 400, "invalid_request", body) for name, body in _BODIES.items())
    yield from _wrong_types()
    yield from _wrong_signs()
    for group in ("unknown", "Default", "DEFAULT", "default.", ".default", "default-", "0", "-", ".", "x" * 256):
        yield Bad(f"unknown group {group[:10]}", 400, "unknown_group", _client(id="host-1", group=group))
    for name, headers in _HEADERS.items():
        yield Bad(f"header: {name}", 400, "missing_header", headers=headers)
    yield from (Bad(f"method {method}", 405, "method_not_allowed", method=method) for method in _METHODS)
    yield from (Bad(f"path {path}", 404, "not_found", path=path) for path in _PATHS)
    for size in (64 * 1024 + 1, 100_000, 1024 * 1024):
        yield Bad(f"{size} bytes", 413, "request_too_large", GOOD_BODY + b" " * (size - len(GOOD_BODY)))


def _wrong_types() -> Iterator[Bad]:
    for name, value in _WRONG_TYPES.items():
        yield Bad(f"the body is {name}", 400, "invalid_request", value.encode())
        yield Bad(f"client_params is {name}", 400, "invalid_request", f'{{"client_params":{value}}}'.encode())
        for key, other in (("id", '"group":"default"'), ("group", '"id":"host-1"')):
            body = f'{{"client_params":{{"{key}":{value},{other}}}}}'.encode()
            yield Bad(f"{key} is {name}", 400, "invalid_request", body)
    yield Bad("client_params is a string", 400, "invalid_request", b'{"client_params":"host-1"}')


def _wrong_signs() -> Iterator[Bad]:
    for name, sign in _BAD_ID_SIGNS.items():
        yield Bad(f"id with {name}", 400, "invalid_request", _client(id=f"a{sign}b", group="default"))
    for sign in _BAD_GROUP_SIGNS:
        yield Bad(f"group with {sign!a}", 400, "invalid_request", _client(id="host-1", group=f"a{sign}b"))
