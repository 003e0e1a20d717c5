"""The locks behind the doors: a store as the settings have it, and the service on top of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from tidegate.clock import Clock
from tidegate.coordinator.configuration import rules_of
from tidegate.coordinator.service import LockService
from tidegate.coordinator.settings import CoordinatorSettings, Etcd
from tidegate.coordinator.store.options import StoreOptions, open_store
from tidegate.coordinator.web import audit


@asynccontextmanager
async def open_locks(settings: CoordinatorSettings, clock: Clock) -> AsyncGenerator[LockService, None]:
    """Open the store and serve locks from it; every change of hands goes to the audit log.

    Raises:
        TidegateError: the store cannot be used as it is configured.
    """
    own = settings.coordinator
    store = await open_store(own.store, _options(own.etcd))
    try:
        async with LockService(store, clock, rules_of(settings), own.default_group, hear=audit.happened) as locks:
            yield locks
    finally:
        await store.aclose()


def _options(etcd: Etcd) -> StoreOptions:
    return StoreOptions(etcd.ca_file, etcd.certificate, etcd.certificate_key, etcd.user, etcd.password_file)
