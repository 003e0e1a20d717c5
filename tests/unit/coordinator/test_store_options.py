"""Addresses of stores."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.asyncs import run
from tidegate.coordinator.store.options import StoreOptions, open_store
from tidegate.errors import ErrorKind, TidegateError


@pytest.mark.parametrize(
    "address",
    [
        *("", "sqlite", "sqlite:", "redis://localhost", "etcd:localhost", "etcd://", "etcd://a:0", "etcd://a:70000"),
        *("etcd://a,,b", "etcd://user:secret@host", "etcd://a/b", "etcd://a:x", "etcd://::1:2379"),
    ],
)
def test_what_is_no_store_is_refused(address: str) -> None:
    async def scenario() -> None:
        with pytest.raises(TidegateError) as caught:
            await open_store(address)
        assert caught.value.kind is ErrorKind.CONFIG_INVALID
        assert caught.value.remedy
        assert "secret" not in str(caught.value)

    run(scenario())


def test_certificates_without_tls_are_a_mistake() -> None:
    async def scenario() -> None:
        with pytest.raises(TidegateError, match="no effect with etcd://"):
            await open_store("etcd://localhost", StoreOptions(ca_file="/etc/ca.pem"))

    run(scenario())


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    async def scenario() -> None:
        missing = str(tmp_path / "ca.pem")
        with pytest.raises(TidegateError, match=missing) as caught:
            await open_store("etcds://localhost", StoreOptions(ca_file=missing))
        assert caught.value.kind is ErrorKind.CONFIG_INVALID

    run(scenario())
