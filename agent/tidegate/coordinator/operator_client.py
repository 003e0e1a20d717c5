"""Query a coordinator as an operator, over its Unix socket on this host or over the network."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from tidegate import __version__
from tidegate.errors import ErrorKind, TidegateError
from tidegate.jsonread import Node, ShapeError
from tidegate.system import regular_file

UNIX = "unix:"
TIMEOUT_SECS = 15.0
"""Longer than the coordinator's own deadline for its store."""

_SOCKET_AUTHORITY = "http://localhost"

Query = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Target:
    """A coordinator (``unix:/path`` or a URL) and the credentials to use with it."""

    url: str
    token: str | None = None
    ca_file: str | None = None
    certificate: tuple[str, str] | None = None


def ask(target: Target, path: str, query: Query | None = None, form: Mapping[str, object] | None = None) -> Node:
    """Request the document at ``path``: GET, or POST where there is a ``form``.

    Raises:
        TidegateError: ``coordinator.unreachable``, or ``coordinator.refused`` with the coordinator's error text.
    """
    try:
        with _client(target) as client:
            reply = client.request("GET" if form is None else "POST", path, params=dict(query or {}), json=form)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise _unreachable(target, error) from None
    return _document(target, reply)


def _client(target: Target) -> httpx.Client:
    headers = {"User-Agent": f"tidegate/{__version__}"}
    if target.token is not None:
        headers["Authorization"] = f"Bearer {target.token}"
    if target.url.startswith(UNIX):
        transport = httpx.HTTPTransport(uds=target.url.removeprefix(UNIX), verify=_no_tls())
        return httpx.Client(
            transport=transport, base_url=_SOCKET_AUTHORITY, headers=headers, timeout=TIMEOUT_SECS, trust_env=False
        )
    return httpx.Client(
        base_url=target.url, verify=_tls(target), headers=headers, timeout=TIMEOUT_SECS, trust_env=False
    )


def _no_tls() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # never used; httpx would load 140 authorities (0.28: 30 ms)


def _tls(target: Target) -> ssl.SSLContext:
    if not target.url.lower().startswith("https:"):
        return _no_tls()
    context = ssl.create_default_context(cafile=target.ca_file)
    if target.certificate is not None:
        context.load_cert_chain(*target.certificate)
    return context


def _document(target: Target, reply: httpx.Response) -> Node:
    try:
        node = Node.root(json.loads(reply.content), "the coordinator's answer")
        if reply.is_success:
            return node
        kind, value = node.text("kind"), node.text("value")
    except (ValueError, ShapeError):
        message = f"{target.url} answers {reply.status_code} with a body that is not a coordinator's"
        raise TidegateError(ErrorKind.COORDINATOR_REFUSED, message, "is this the coordinator's address?") from None
    raise TidegateError(ErrorKind.COORDINATOR_REFUSED, f"{kind}: {value}", _remedy(kind))


def _remedy(kind: str) -> str:
    return {
        "unauthorized": "run it as root on the coordinator's host, or give --token-file or --client-cert",
        "not_found": "tidegate coordinator status",
        "unknown_group": "tidegate coordinator status",
        "backend_unavailable": "check the store (etcd, or the disk of the SQLite file) and the coordinator's log",
    }.get(kind, "")


def _unreachable(target: Target, error: Exception) -> TidegateError:
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    message = f"no coordinator answers at {target.url}: {why or type(error).__name__}"
    if target.url.startswith(UNIX):
        socket_path = Path(target.url.removeprefix(UNIX))
        remedy = (
            "check that it runs on this host (systemctl status tidegate-coordinator) and the permissions of "
            f"{socket_path}, or name another coordinator with --url"
        )
    else:
        remedy = "check address, port and certificate; the coordinator logs at start where it serves operators"
    return TidegateError(ErrorKind.COORDINATOR_UNREACHABLE, message, remedy)


MAX_TOKEN_FILE_BYTES = 64 * 1024


def read_token(path: Path) -> str:
    """The first token in a file, which is a coordinator's ``token_file`` or holds a single token.

    Raises:
        TidegateError: ``config.invalid``: the file cannot be read, or has no token in ASCII.
    """
    try:
        lines = regular_file.read_secret(path, MAX_TOKEN_FILE_BYTES).decode().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TidegateError(ErrorKind.CONFIG_INVALID, f"the token file {path} cannot be read: {error}") from None
    words = [line.split()[-1] for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not words or not words[0].isascii():
        raise TidegateError(ErrorKind.CONFIG_INVALID, f"there is no token in {path}", "write an operator's token to it")
    return words[0]
