"""Open the store at a configured address."""

from __future__ import annotations

import logging
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tidegate.coordinator.store.base import Store
from tidegate.coordinator.store.etcd.client import Account, EtcdClient
from tidegate.coordinator.store.etcd.connection import Endpoint
from tidegate.coordinator.store.etcd.store import EtcdStore
from tidegate.coordinator.store.sqlite import open_sqlite
from tidegate.errors import ErrorKind, TidegateError

DEFAULT_ETCD_PORT = 2379

_MEMBER = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """TLS files and the account for etcd; not used for SQLite. All are paths but ``user``.

    ``certificate`` includes its intermediate certificates; ``certificate_key`` is not encrypted. With authentication
    enabled, etcd's JSON gateway accepts a client certificate only if its common name is empty (etcd-io/etcd#10366).
    """

    ca_file: str | None = None
    certificate: str | None = None
    certificate_key: str | None = None
    user: str | None = None
    password_file: str | None = None


async def open_store(address: str, options: StoreOptions | None = None) -> Store:
    """Open the store at ``sqlite:PATH``, ``etcd://HOST:PORT,HOST:PORT`` or ``etcds://...`` (TLS).

    An etcd that does not answer yet is not an error: every request tries again.

    Raises:
        TidegateError: ``config.invalid``: the address or a named file cannot be used;
            ``coordinator.store-unavailable`` or ``coordinator.store-nonsense``: the store itself cannot be used.
    """
    scheme, _, rest = address.partition(":")
    match scheme:
        case "sqlite" if rest:
            return await open_sqlite(Path(rest))
        case "etcd" | "etcds" if rest.startswith("//"):
            return await _open_etcd(scheme, rest[2:].rstrip("/").split(","), options or StoreOptions())
        case _:
            remedy = "use sqlite:/path, etcd://host:2379,... or etcds://host:2379,..."
            raise _invalid(f"{_shown(address)!r} is not a store", remedy)


async def _open_etcd(scheme: str, members: Sequence[str], options: StoreOptions) -> EtcdStore:
    is_tls = scheme == "etcds"
    if not is_tls and (options.ca_file or options.certificate):
        raise _invalid("certificates have no effect with etcd://", "write etcds:// to use TLS")
    tls = _tls(options) if is_tls else None
    endpoints = [_endpoint(member, tls) for member in members]
    store = EtcdStore(EtcdClient(endpoints, _account(options)))
    try:
        await store.prove()
    except TidegateError as error:
        if error.kind is not ErrorKind.COORDINATOR_STORE_UNAVAILABLE:
            await store.aclose()
            raise
        _log.warning("the store does not answer yet: %s", error)
    return store


def _endpoint(member: str, tls: ssl.SSLContext | None) -> Endpoint:
    found = _MEMBER.fullmatch(member.strip())
    port = int(found["port"] or DEFAULT_ETCD_PORT) if found else 0
    if found is None or not 0 < port < 2**16:
        remedy = "write host:2379, with commas between several; user and password belong into coordinator.etcd"
        raise _invalid(f"{_shown(member)!r} is not the address of an etcd member", remedy)
    return Endpoint(found["host"].strip("[]"), port, tls)


def _shown(address: str) -> str:
    """``address`` without the part before an ``@``, which may have a password."""
    return address.rpartition("@")[2]


def _account(options: StoreOptions) -> Account | None:
    if options.user is None or options.password_file is None:
        return None
    return Account(options.user, options.password_file)


def _tls(options: StoreOptions) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=options.ca_file)
        if options.certificate is not None:
            context.load_cert_chain(options.certificate, options.certificate_key, password=_no_password)
    except OSError as error:  # ssl.SSLError is one: the file exists but is not such a file
        files = ", ".join(filter(None, (options.ca_file, options.certificate, options.certificate_key)))
        message = f"the certificates for etcd cannot be used ({files}): {error.strerror or error}"
        raise _invalid(message, "put files in PEM form there, readable by the coordinator") from error
    return context


def _no_password() -> str:
    """Answer OpenSSL, which would ask for a password on the terminal."""
    return ""


def _invalid(message: str, remedy: str) -> TidegateError:
    return TidegateError(ErrorKind.CONFIG_INVALID, message, remedy)
