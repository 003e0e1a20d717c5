"""Settings of the strategy ``fleet_lock``: finalize only while holding a slot of the fleet's lock server.

Requesting a slot takes it, so the lock is not a gate that can be asked at any time: the machine takes it, after every
gate has allowed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidegate.config.conflicts import Conflict, base_url_conflicts
from tidegate.config.keys import key
from tidegate.config.kinds.names import AbsoluteFile
from tidegate.config.kinds.scalar import Boolean, Choice, Integer, Url
from tidegate.config.urls import expand
from tidegate.errors import ErrorKind, TidegateError
from tidegate.fleetlock.account import FLEET_LOCK, FleetLocking, LockAccount
from tidegate.identity import host_id

if TYPE_CHECKING:
    from tidegate.settings import Settings

MAX_TIMEOUT_SECS = 600
"""A server that drains a node before it answers needs minutes; one that hangs must not delay the host for longer."""

_TO_THIS_HOST = re.compile(r"http://(?:[^/@]*@)?(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d*)?(?:/.*)?", re.I)
_HAS_USER = re.compile(r"[^/]*//[^/]*@.*")


@dataclass(frozen=True, slots=True)
class FleetLockSettings:
    """``[updates.fleet_lock]``: the lock server of the strategy ``fleet_lock``."""

    base_url: str = key(
        "",
        Url(("http", "https")),
        "The FleetLock server, needed by the strategy `fleet_lock`. Takes the variables of `cincinnati.base_url`.",
    )
    timeout_secs: int = key(30, Integer(1, MAX_TIMEOUT_SECS), "Seconds after which a request to the server times out.")
    ca_file: str | None = key(
        None, AbsoluteFile(), "Certificate authorities to trust in place of the system's, in PEM form."
    )
    client_cert_file: str | None = key(
        None, AbsoluteFile(), "The host's own certificate for the server, in PEM form. Needs `client_key_file`."
    )
    client_key_file: str | None = key(
        None, AbsoluteFile(), "The key of `client_cert_file`, in PEM form and without a passphrase."
    )
    token_file: str | None = key(
        None,
        AbsoluteFile(),
        "A file with a token on one line, sent as `Authorization: Bearer`. It is read for each request.",
    )
    release: str = key(
        "after-health",
        Choice(("after-health", "after-boot")),
        "When the slot is released: once the new release has proved healthy, or as soon as the host has booted.",
    )
    update_params: bool = key(
        True,  # noqa: FBT003 - a default
        Boolean(),
        "Whether to tell a server with the extension rollout-v1 which releases the host moves from and to. Such a "
        "server is always told the boot's id and age, which tell two hosts apart that share an id; others are told "
        "neither.",
    )


def conflicts(lock: FleetLockSettings) -> Iterator[Conflict]:
    """The conflicts between the keys, where the strategy ``fleet_lock`` is selected."""
    table, selector = "updates.fleet_lock", "updates.strategy"
    yield from base_url_conflicts(f"{table}.base_url", lock.base_url, selector, "fleet_lock", "v1/pre-reboot")
    if lock.client_cert_file and not lock.client_key_file:
        why, remedy = "the client certificate has no key", "set it to the key's file; both may be in one"
        yield Conflict(f"{table}.client_key_file", f"{table}.client_cert_file", why, remedy)
    if lock.client_key_file and not lock.client_cert_file:
        why, remedy = "the key has no client certificate", "set it to the certificate's file"
        yield Conflict(f"{table}.client_cert_file", f"{table}.client_key_file", why, remedy)
    if lock.token_file:
        yield from _token(f"{table}.base_url", f"{table}.token_file", lock.base_url)


def _token(key: str, because_of: str, url: str) -> Iterator[Conflict]:
    if url.lower().startswith("http:") and not _TO_THIS_HOST.fullmatch(url):
        why = "the token would be sent unencrypted"
        yield Conflict(key, because_of, why, f"use https://, or unset {because_of}")
    if _HAS_USER.fullmatch(url):
        why = "a request carries either a token or a user, not both"
        yield Conflict(key, because_of, why, f"remove the user from the URL, or unset {because_of}")


def fleet_locking(settings: Settings, variables: Mapping[str, str]) -> FleetLocking | None:
    """The lock that a reboot requires; None where the strategy is not selected.

    Raises:
        TidegateError: the host has no id, or the address has a variable without a value on this host.
    """
    if FLEET_LOCK not in settings.updates.strategy:
        return None
    lock = settings.of(FleetLockSettings)
    account = lock_account(settings, variables, host_id(settings.identity), settings.identity.group)
    return FleetLocking(account, lock.release, lock.update_params)


def lock_account(settings: Settings, variables: Mapping[str, str], client_id: str, group: str) -> LockAccount:
    """The account for a slot of ``group`` with the id ``client_id``, at the configured server.

    Raises:
        TidegateError: ``lock.unavailable``: the address has a variable without a value on this host.
    """
    lock = settings.of(FleetLockSettings)
    return LockAccount(
        base_url=_address(lock.base_url, variables),
        group=group,
        id=client_id,
        timeout_secs=lock.timeout_secs,
        ca_file=lock.ca_file,
        client_cert_file=lock.client_cert_file,
        client_key_file=lock.client_key_file,
        token_file=lock.token_file,
    )


def _address(url: str, variables: Mapping[str, str]) -> str:
    try:
        return expand(url, variables)
    except KeyError as missing:
        raise TidegateError(
            ErrorKind.LOCK_UNAVAILABLE,
            f"updates.fleet_lock.base_url: this host has no value for ${{{missing.args[0]}}}",
            "write the address without that variable",
        ) from missing
