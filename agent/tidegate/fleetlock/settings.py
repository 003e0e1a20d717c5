"""Settings of the strategy ``fleet_lock``: finalize only while holding a slot of the fleet's lock server.

Requesting a slot takes it, so the lock is not a gate that can be asked at any time: the machine takes it, after every
gate has allowed.
"""

from __future__ import annotations

from collections.abc import Mapping

from tidegate.config.settings import Settings
from tidegate.config.urls import expand
from tidegate.errors import ErrorKind, TidegateError
from tidegate.fleetlock.account import FLEET_LOCK, FleetLocking, LockAccount
from tidegate.identity import host_id


def fleet_locking(settings: Settings, variables: Mapping[str, str]) -> FleetLocking | None:
    """The lock that a reboot requires; None where the strategy is not selected.

    Raises:
        TidegateError: the host has no id, or the address has a variable without a value on this host.
    """
    if FLEET_LOCK not in settings.updates.strategy:
        return None
    account = lock_account(settings, variables, host_id(settings.identity), settings.identity.group)
    return FleetLocking(account, settings.fleet_lock.release, settings.fleet_lock.update_params)


def lock_account(settings: Settings, variables: Mapping[str, str], client_id: str, group: str) -> LockAccount:
    """The account for a slot of ``group`` with the id ``client_id``, at the configured server.

    Raises:
        TidegateError: ``lock.unavailable``: the address has a variable without a value on this host.
    """
    lock = settings.fleet_lock
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
