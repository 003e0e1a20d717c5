"""The coordinator's settings: its configuration keys with their kinds, defaults and documentation.

They are loaded like the agent's, with the same layers, errors and origins: see :mod:`tidegate.config`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tidegate.config.conflicts import Conflict
from tidegate.config.keys import in_table, key
from tidegate.config.kinds.names import AbsoluteFile, Names
from tidegate.config.kinds.scalar import Boolean, Integer, MergeMode, Text
from tidegate.config.loader import LoadedAs, Schema
from tidegate.coordinator.addresses import Address, Listen
from tidegate.coordinator.group_kind import Group, Groups
from tidegate.coordinator.model import Rules
from tidegate.fleetlock.protocol import GROUP_PATTERN

DEFAULT_ROOTS = (
    Path("/usr/lib/tidegate/coordinator.d"),
    Path("/etc/tidegate/coordinator.d"),
    Path("/run/tidegate/coordinator.d"),
)

DEFAULT_LISTEN = Address("127.0.0.1", 3333)
"""The port of the protocol's own examples. The reference server's 9090 belongs to Cockpit and Prometheus, one of which
often runs on the same host."""

DEFAULT_STORE = "sqlite:/var/lib/tidegate-coordinator/locks.db"
MAX_CONNECTIONS = 100_000
MAX_STORE_TIMEOUT_SECS = 60

_STORE = re.compile(r"(?:sqlite:/.+)|(?:etcds?://[^/\s]+/?)")
_WORD = re.compile(r"[!-~]+")

_ABSOLUTE = AbsoluteFile()
_NAME = re.compile(r"\S(?:.*\S)?")


@dataclass(frozen=True, slots=True)
class Tls:
    """``[coordinator.tls]``."""

    certificate: str | None = key(
        None, _ABSOLUTE, "The server's certificate with its intermediate certificates, in PEM. Enables TLS."
    )
    certificate_key: str | None = key(None, _ABSOLUTE, "The certificate's key, in PEM, without a password.", name="key")
    client_ca: str | None = key(
        None,
        _ABSOLUTE,
        "The certificate authorities of clients, in PEM. Clients without a certificate of theirs are refused.",
    )


@dataclass(frozen=True, slots=True)
class Admin:
    """``[coordinator.admin]``."""

    listen: Address | None = key(  # noqa: RUF009 - it makes a field, and an Address is frozen
        None,
        Listen(),
        "Where `status`, `release`, `history` and /metrics are served, apart from the locks; at `coordinator.listen` "
        "unless set. Client certificates are requested here, but not required.",
    )
    socket: str | None = key(
        None,
        _ABSOLUTE,
        "The Unix socket for operators on this host: root and the coordinator's own user need no token there. It is "
        "operator.sock in the service's runtime folder (/run/tidegate-coordinator) unless set.",
    )
    token_file: str | None = key(
        None,
        _ABSOLUTE,
        "Tokens of operators on other hosts: one on each line, with a name before it where there are several. Without "
        "tokens and certificates, operators are served on this host only.",
    )
    certificate_names: tuple[str, ...] = key(
        (),
        Names(_NAME, "names as they are in certificates"),
        "Names in client certificates (common name or DNS name) that authenticate an operator in place of a token.",
    )


@dataclass(frozen=True, slots=True)
class Etcd:
    """``[coordinator.etcd]``, for a store ``etcds://`` or an etcd that has authentication enabled."""

    ca_file: str | None = key(
        None, _ABSOLUTE, "The certificate authorities of the etcd members, in PEM; the system's unless set."
    )
    certificate: str | None = key(
        None,
        _ABSOLUTE,
        "The client certificate for etcd. Where etcd has authentication enabled, its common name must be empty.",
    )
    certificate_key: str | None = key(None, _ABSOLUTE, "The client certificate's key.", name="key")
    user: str | None = key(
        None, Text(_WORD, "a name without spaces"), "The user name at etcd, where it has authentication enabled."
    )
    password_file: str | None = key(None, _ABSOLUTE, "The file with that user's password.")


@dataclass(frozen=True, slots=True)
class Coordinator:
    """``[coordinator]``."""

    listen: Address = key(  # noqa: RUF009 - it makes a field, and an Address is frozen
        DEFAULT_LISTEN,
        Listen(),
        "The address and port at which locks are served, such as 127.0.0.1:3333 or [::]:3333.",
    )
    insecure_http: bool = key(
        False,  # noqa: FBT003 - a default
        Boolean(),
        "Whether to serve other hosts without TLS. Operators are then served on this host only.",
    )
    max_connections: int = key(
        10_000,
        Integer(1, MAX_CONNECTIONS),
        "How many connections may be open at a time, at all listeners together; further ones are refused.",
    )
    default_group: str | None = key(
        None,
        Text(GROUP_PATTERN, "the name of a group"),
        "The group that serves clients of an unknown group; they are refused unless set.",
    )
    store: str = key(
        DEFAULT_STORE,
        Text(_STORE, "sqlite:/path, etcd://host:port,... or etcds://host:port,... (TLS)"),
        "Where the locks are kept: a file on this host, or etcd, where several coordinators may share them.",
    )
    tls: Tls = field(default_factory=Tls, metadata=in_table("coordinator.tls"))
    admin: Admin = field(default_factory=Admin, metadata=in_table("coordinator.admin"))
    etcd: Etcd = field(default_factory=Etcd, metadata=in_table("coordinator.etcd"))


@dataclass(frozen=True, slots=True)
class CoordinatorSettings:
    """All settings, with their defaults."""

    groups: tuple[Group, ...] = key(
        (Group("default", Rules(slots=1)),),
        Groups(),
        "A group of hosts: its `name`, the `slots` (how many of its hosts may be down at a time), `lock_ttl_secs` "
        "(after how long without a request of its holder a slot may be granted to another host; never unless set), "
        "`release_delay_secs` (how long a released slot is not granted again) and `min_gap_secs` (the least time "
        "between two grants). The groups of all snippets add up.",
        name="group",
    )
    group_merge: str = key(
        "append",
        MergeMode(("append", "replace")),
        "How a snippet's groups are merged with those of the snippets before it: `replace` drops the earlier ones.",
    )
    coordinator: Coordinator = field(default_factory=Coordinator, metadata=in_table("coordinator"))


def conflicts(settings: CoordinatorSettings) -> Iterator[Conflict]:
    """Find keys that are valid each by itself but contradict each other."""
    yield from _groups(settings)
    yield from _tls(settings.coordinator)
    yield from _exposed(settings.coordinator)
    yield from _etcd(settings.coordinator)


SCHEMA = Schema(CoordinatorSettings, conflicts)

Loaded = LoadedAs[CoordinatorSettings]


def _groups(settings: CoordinatorSettings) -> Iterator[Conflict]:
    names = [group.name for group in settings.groups]
    for name in dict.fromkeys(one for one in names if names.count(one) > 1):
        remedy = 'remove one of them, or set group_merge = "replace" to drop the groups of earlier snippets'
        yield Conflict("group", "group", f'there are two groups named "{name}"', remedy)
    default = settings.coordinator.default_group
    if default is not None and default not in names:
        remedy = f"name a configured group ({', '.join(names)}), or add a [[group]]"
        yield Conflict("coordinator.default_group", "group", f'there is no group "{default}"', remedy)


def _tls(own: Coordinator) -> Iterator[Conflict]:
    yield from _pair("coordinator.tls", own.tls.certificate, own.tls.certificate_key)
    if own.tls.client_ca is not None and own.tls.certificate is None:
        yield _needs("coordinator.tls.client_ca", "coordinator.tls.certificate", "client certificates need TLS")
    if own.admin.certificate_names and own.tls.client_ca is None:
        message = "no certificate is accepted without the authority that signs them"
        yield _needs("coordinator.admin.certificate_names", "coordinator.tls.client_ca", message)


def _exposed(own: Coordinator) -> Iterator[Conflict]:
    """Find listeners that would serve other hosts without TLS although ``insecure_http`` does not allow it."""
    if own.admin.listen is not None and own.admin.listen == own.listen and own.listen.port:
        remedy = "choose another port, or leave it out to serve both in one place"
        yield Conflict("coordinator.admin.listen", "coordinator.listen", "the locks are served there", remedy)
    if own.tls.certificate is not None or own.insecure_http:
        return
    for name, address in (("coordinator.listen", own.listen), ("coordinator.admin.listen", own.admin.listen)):
        if address is not None and not address.is_loopback:
            yield Conflict(name, "coordinator.insecure_http", f"{address} {_EXPOSED}", _EXPOSED_REMEDY)


_EXPOSED = "can be reached from other hosts, and TLS is off: anybody on the network path could take or free slots"
_EXPOSED_REMEDY = (
    "set coordinator.tls.certificate and key, or listen on 127.0.0.1; where the network itself is protected, "
    "set coordinator.insecure_http = true"
)


def _etcd(own: Coordinator) -> Iterator[Conflict]:
    yield from _pair("coordinator.etcd", own.etcd.certificate, own.etcd.certificate_key)
    if (own.etcd.user is None) != (own.etcd.password_file is None):
        present, missing = ("password_file", "user") if own.etcd.user is None else ("user", "password_file")
        yield _needs(f"coordinator.etcd.{present}", f"coordinator.etcd.{missing}", "authentication needs both")


def _pair(table: str, certificate: str | None, its_key: str | None) -> Iterator[Conflict]:
    if (certificate is None) != (its_key is None):
        present, missing = ("key", "certificate") if certificate is None else ("certificate", "key")
        yield _needs(f"{table}.{present}", f"{table}.{missing}", "a certificate cannot be used without its key")


def _needs(key_name: str, missing: str, why: str) -> Conflict:
    return Conflict(key_name, missing, f"`{missing}` is not set: {why}", f"set {missing} as well")
