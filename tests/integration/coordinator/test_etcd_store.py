"""The store in etcd: the key that it shares with airlock, failures, authentication and TLS."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import time
from base64 import b64decode, b64encode
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fakes.asyncs import run
from tests.fakes.certificates import Authority
from tests.fakes.clock import START
from tests.fakes.etcd_server import EtcdServer, etcd_server
from tests.fakes.free_port import free_port
from tests.fakes.plain_http import NO_TLS
from tidegate.clock import SystemClock
from tidegate.coordinator.group_codec import dump, holder_document
from tidegate.coordinator.group_store import StoredGroups
from tidegate.coordinator.model import Answer, Call, Denied, Granted, Holder, Released, Rules
from tidegate.coordinator.service import LockService
from tidegate.coordinator.store.etcd import gateway
from tidegate.coordinator.store.options import StoreOptions, open_store
from tidegate.errors import ErrorKind, TidegateError
from tidegate.fleetlock.protocol import ClientParams, ReleaseTag, UpdateParams, Verb

CALL_SECS = 1.0
UPDATE = UpdateParams("tidegate/1", "a" * 32, ReleaseTag("1" * 20, "sha256:" + "1" * 64), None)


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Generator[EtcdServer, None, None]:
    with etcd_server(tmp_path_factory.mktemp("etcd")) as server:
        yield server


@pytest.fixture
def own_etcd(tmp_path: Path) -> Generator[EtcdServer, None, None]:
    """One that a test may kill."""
    with etcd_server(tmp_path) as server:
        yield server


@pytest.fixture
def group(request: pytest.FixtureRequest) -> str:
    """One of each test's own."""
    return "".join(char if char.isalnum() else "-" for char in request.node.name)


@asynccontextmanager
async def coordinator(
    address: str, group: str, slots: int = 1, options: StoreOptions | None = None, timeout_secs: float = CALL_SECS
) -> AsyncGenerator[LockService, None]:
    store = await open_store(address, options)
    try:
        rules = {group: Rules(slots=slots)}
        async with LockService(StoredGroups(store), SystemClock(), rules, timeout_secs=timeout_secs) as locks:
            yield locks
    finally:
        await store.aclose()


async def lock(locks: LockService, group: str, host: str) -> Answer:
    return await locks.call(Call(Verb.PRE_REBOOT, ClientParams(host, group), "10.0.0.1", UPDATE))


async def unlock(locks: LockService, group: str, host: str) -> Answer:
    return await locks.call(Call(Verb.STEADY_STATE, ClientParams(host, group), "10.0.0.1"))


def encoded(text: str) -> str:
    return b64encode(text.encode()).decode()


def semaphore_key(group: str) -> str:
    return f"com.coreos.airlock/groups/{group}/v1/semaphore"


def said(server: EtcdServer, path: str, **body: object) -> Any:
    """What etcd answers, without any of the code under test."""
    return posted(server, path, body, NO_TLS, None)


def posted(server: EtcdServer, path: str, body: object, tls: ssl.SSLContext, token: str | None) -> Any:
    headers = {} if token is None else {"authorization": token}
    response = httpx.post(server.url + path, json=body, headers=headers, verify=tls, timeout=10, trust_env=False)
    assert response.status_code == 200, response.text
    return response.json()


def put(server: EtcdServer, key: str, value: str) -> None:
    said(server, "/v3/kv/put", key=encoded(key), value=encoded(value))


def got(server: EtcdServer, key: str) -> str:
    (found,) = said(server, "/v3/kv/range", key=encoded(key))["kvs"]
    return b64decode(found.get("value", "")).decode()


def versions(server: EtcdServer, key: str) -> list[str]:
    """Every value that the key ever had, by etcd's own watch from the beginning."""
    marker = f"end-of-{key}"
    put(server, marker, "")
    asked = {"create_request": {"key": encoded(key), "range_end": encoded(f"{marker}\0"), "start_revision": "1"}}
    values: list[str] = []
    url = f"{server.url}/v3/watch"
    with httpx.stream("POST", url, json=asked, verify=NO_TLS, timeout=10, trust_env=False) as stream:
        for line in stream.iter_lines():
            for event in json.loads(line)["result"].get("events", []):
                name = b64decode(event["kv"]["key"]).decode()
                if name == marker:
                    return values
                if name == key:
                    values.append(b64decode(event["kv"].get("value", "")).decode())
    raise AssertionError("the watch ended")


def test_the_key_is_that_of_the_reference_server(etcd: EtcdServer, group: str) -> None:
    async def scenario() -> None:
        async with coordinator(etcd.address, group, slots=3) as locks:
            await asyncio.gather(*(lock(locks, group, host) for host in "cba"))
            assert got(etcd, semaphore_key(group)) == '{"total_slots":3,"holders":["a","b","c"]}'
            await unlock(locks, group, "b")
            assert got(etcd, semaphore_key(group)) == '{"total_slots":3,"holders":["a","c"]}'

    run(scenario())


def test_it_takes_over_from_the_reference_server_and_gives_back(etcd: EtcdServer, group: str) -> None:
    async def scenario() -> None:
        put(etcd, semaphore_key(group), '{"total_slots":9,"holders":["a","b"]}')
        async with coordinator(etcd.address, group, slots=2) as locks:
            assert isinstance(await lock(locks, group, "c"), Denied)
            assert await unlock(locks, group, "a") == Released(held=True)
            put(etcd, semaphore_key(group), '{"total_slots":2,"holders":["b","x"]}')
            assert isinstance(await lock(locks, group, "c"), Denied)
            put(etcd, semaphore_key(group), '{"total_slots":2,"holders":["x"]}')
            await asyncio.sleep(0.2)  # for so long a denial may rest on what was seen before
            assert isinstance(await lock(locks, group, "c"), Granted)
            view = next(one for one in await locks.groups() if one.name == group)
            assert {one.id: one.since is not None for one in view.holders} == {"c": True, "x": False}

    run(scenario())


@pytest.mark.parametrize(
    "value", ["", "nonsense", '{"total_slots":"2","holders":[]}', '{"total_slots":1,"holders":[],"x":1}']
)
def test_a_value_of_another_make_is_named_and_left_alone(etcd: EtcdServer, group: str, value: str) -> None:
    async def scenario() -> None:
        put(etcd, semaphore_key(group), value)
        async with coordinator(etcd.address, group) as locks:
            for ask in (lock, unlock):
                with pytest.raises(TidegateError, match=semaphore_key(group)) as caught:
                    await ask(locks, group, "a")
                assert caught.value.kind is ErrorKind.COORDINATOR_STORE_NONSENSE
                assert caught.value.remedy
        assert got(etcd, semaphore_key(group)) == value

    run(scenario())


def test_a_value_that_becomes_nonsense_later_is_left_alone_too(etcd: EtcdServer, group: str) -> None:
    async def scenario() -> None:
        async with coordinator(etcd.address, group) as locks:
            await lock(locks, group, "a")
            put(etcd, semaphore_key(group), "nonsense")
            with pytest.raises(TidegateError, match=semaphore_key(group)):
                await unlock(locks, group, "a")
        assert got(etcd, semaphore_key(group)) == "nonsense"

    run(scenario())


@pytest.mark.parametrize(("right", "wrong"), [("compare", "compares"), ("mod_revision", "mod_rev")])
def test_a_misspelt_body_is_noticed_before_the_first_lock(
    etcd: EtcdServer, group: str, right: str, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway passes over what it does not know, and would swap without comparing."""
    body = gateway.txn_body

    def misspelt(*arguments: object) -> object:
        return json.loads(json.dumps(body(*arguments)).replace(f'"{right}"', f'"{wrong}"'))  # type: ignore[arg-type]

    async def scenario() -> None:
        monkeypatch.setattr("tidegate.coordinator.store.etcd.store.txn_body", misspelt)
        with pytest.raises(TidegateError, match="does not compare") as caught:
            await open_store(etcd.address)
        assert caught.value.kind is ErrorKind.COORDINATOR_STORE_NONSENSE

    run(scenario())
    left = said(etcd, "/v3/kv/range", key=encoded("com.coreos.airlock/tidegate/v1/proof/"), range_end=encoded("d"))
    assert not [one for one in left.get("kvs", []) if b"proof" in b64decode(one["key"])]


def test_something_else_at_the_address_is_said_to_be_that(tmp_path: Path) -> None:
    async def scenario() -> None:
        async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>")
            writer.close()

        async with await asyncio.start_server(page, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(TidegateError, match="not the gateway of etcd") as caught:
                await open_store(f"etcd://127.0.0.1:{port}")
            assert caught.value.kind is ErrorKind.COORDINATOR_STORE_NONSENSE

    run(scenario())


def test_a_frozen_etcd_is_told_in_time_and_got_over(own_etcd: EtcdServer, group: str) -> None:
    async def scenario() -> None:
        async with coordinator(own_etcd.address, group, slots=2) as locks:
            assert isinstance(await lock(locks, group, "a"), Granted)
            own_etcd.freeze()
            began = time.monotonic()
            asked = (lock(locks, group, "b"), unlock(locks, group, "a"), locks.check(), locks.groups())
            answers = await asyncio.gather(*asked, return_exceptions=True)
            assert time.monotonic() - began < CALL_SECS + 2
            for answer in answers:
                assert isinstance(answer, TidegateError)
                assert answer.kind is ErrorKind.COORDINATOR_STORE_UNAVAILABLE
            own_etcd.thaw()
            assert isinstance(await lock(locks, group, "b"), Granted)
            assert isinstance(await lock(locks, group, "a"), Granted)
            view = next(one for one in await locks.groups() if one.name == group)
            assert {one.id for one in view.holders} == {"a", "b"}

    run(scenario())


def test_it_may_start_before_etcd_and_outlives_its_death(own_etcd: EtcdServer, group: str) -> None:
    async def scenario() -> None:
        own_etcd.kill()
        async with coordinator(own_etcd.address, group, timeout_secs=0.5) as locks:
            with pytest.raises(TidegateError, match="etcd at http") as caught:
                await lock(locks, group, "a")
            assert caught.value.kind is ErrorKind.COORDINATOR_STORE_UNAVAILABLE
            own_etcd.start()
            assert isinstance(await lock(locks, group, "a"), Granted)
            own_etcd.kill()
            own_etcd.start()
            assert isinstance(await lock(locks, group, "b"), Denied)
            assert await unlock(locks, group, "a") == Released(held=True)

    run(scenario())


def test_it_goes_on_to_the_next_member(etcd: EtcdServer, group: str) -> None:
    async def scenario() -> None:
        address = f"etcd://127.0.0.1:{free_port()},127.0.0.1:{etcd.port}"
        async with coordinator(address, group) as locks:
            assert isinstance(await lock(locks, group, "a"), Granted)

    run(scenario())


def test_two_coordinators_never_give_out_a_slot_twice(etcd: EtcdServer, group: str) -> None:
    slots = 3

    async def scenario() -> None:
        async with (
            coordinator(etcd.address, group, slots, timeout_secs=5) as first,
            coordinator(etcd.address, group, slots, timeout_secs=5) as second,
        ):

            async def host(name: str, locks: LockService) -> int:
                had = 0
                for _ in range(15):
                    if isinstance(await lock(locks, group, name), Granted):
                        had += 1
                        await unlock(locks, group, name)
                return had

            had = await asyncio.gather(*(host(f"h{n}", (first, second)[n % 2]) for n in range(20)))
            assert sum(had) > 20

    run(scenario())
    kept = [json.loads(one)["holders"] for one in versions(etcd, semaphore_key(group))]
    assert len(kept) > 20
    assert max(map(len, kept)) == slots
    assert all(len({*holders}) == len(holders) for holders in kept)


def test_ten_thousand_holders(etcd: EtcdServer, group: str) -> None:
    """What is read at the start is more than the four megabytes that gRPC takes by itself."""
    hosts = [f"host-{n:027d}" for n in range(10_000)]
    _fill(etcd, group, hosts)

    async def scenario() -> None:
        async with coordinator(etcd.address, group, len(hosts), timeout_secs=9) as locks:
            assert isinstance(await lock(locks, group, "one more"), Denied)
            assert await unlock(locks, group, hosts[7]) == Released(held=True)
            assert isinstance(await lock(locks, group, "one more"), Granted)
            view = next(one for one in await locks.groups() if one.name == group)
            assert {one.id for one in view.holders} == {*hosts, "one more"} - {hosts[7]}
            assert all(one.update == UPDATE and one.since is not None for one in view.holders)

    run(scenario(), deadline_secs=60.0)


def _fill(server: EtcdServer, group: str, hosts: list[str]) -> None:
    """As many grants would have, in the end."""
    put(server, semaphore_key(group), json.dumps({"total_slots": len(hosts), "holders": hosts}))
    own = f"com.coreos.airlock/groups/{group}/tidegate/v1"
    details = dump(holder_document(Holder("", START, START, "10.0.0.1", UPDATE)))
    for first in range(0, len(hosts), 100):
        puts = [
            {"key": encoded(f"{own}/holders/{host}"), "value": encoded(details)} for host in hosts[first : first + 100]
        ]
        said(server, "/v3/kv/txn", success=[{"request_put": one} for one in puts])
    put(server, f"{own}/state", '{"semaphore_version":1,"sequence":0,"trusted_from":0}')


def test_more_holders_than_a_record_takes_are_refused(own_etcd: EtcdServer, group: str) -> None:
    async def scenario() -> None:
        holders = [f"host-{n:0250d}" for n in range(6_085)]
        put(own_etcd, semaphore_key(group), dump({"total_slots": 9000, "holders": holders}))
        async with coordinator(own_etcd.address, group, 9000, timeout_secs=9) as locks:
            outcomes = [await _outcome(locks, group, f"more-{n:0250d}") for n in range(15)]
            assert outcomes[0] == "granted"
            assert outcomes[-1] == "store-nonsense too large"
            assert await unlock(locks, group, holders[0]) == Released(held=True)

    run(scenario(), deadline_secs=60.0)  # fifteen writes of 1.5 MB


async def _outcome(locks: LockService, group: str, host: str) -> str:
    try:
        answer = await lock(locks, group, host)
    except TidegateError as error:
        return f"{error.kind.partition('.')[2]} {'too large' if 'too large' in error.message else error.message}"
    return "granted" if isinstance(answer, Granted) else "denied"


def accounts(server: EtcdServer, prefix: str = "com.coreos.airlock/") -> None:
    """What an administrator sets up: one account for the coordinator, with one prefix."""
    said(server, "/v3/auth/user/add", name="root", password="root")
    said(server, "/v3/auth/user/add", name="tidegate", password="secret")
    for role in ("root", "locks"):
        said(server, "/v3/auth/role/add", name=role)
    end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
    permission = {"permType": "READWRITE", "key": encoded(prefix), "range_end": encoded(end)}
    said(server, "/v3/auth/role/grant", name="locks", perm=permission)
    said(server, "/v3/auth/user/grant", user="root", role="root")
    said(server, "/v3/auth/user/grant", user="tidegate", role="locks")
    said(server, "/v3/auth/enable")


def account(folder: Path, password: str = "secret") -> StoreOptions:
    file = folder / "password"
    file.write_text(f"{password}\n")
    file.chmod(0o600)
    return StoreOptions(user="tidegate", password_file=str(file))


def test_an_account_with_one_prefix_is_enough(own_etcd: EtcdServer, group: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        accounts(own_etcd)
        async with coordinator(own_etcd.address, group, options=account(tmp_path)) as locks:
            assert isinstance(await lock(locks, group, "a"), Granted)
            assert isinstance(await lock(locks, group, "b"), Denied)
            await locks.check()
            assert len(await locks.history(group, 10)) == 1

    run(scenario())


def test_a_token_that_is_no_longer_good_is_replaced(own_etcd: EtcdServer, group: str, tmp_path: Path) -> None:
    """Simple tokens are lost with the member that gave them; here all of them at once, in the middle of calls."""

    async def scenario() -> None:
        accounts(own_etcd)
        async with coordinator(own_etcd.address, group, slots=50, options=account(tmp_path), timeout_secs=5) as locks:
            assert isinstance(await lock(locks, group, "a"), Granted)
            own_etcd.kill()
            own_etcd.start()
            answers = await asyncio.gather(*(lock(locks, group, f"h{n}") for n in range(20)))
            assert all(isinstance(one, Granted) for one in answers)

    run(scenario())


def test_a_password_that_was_changed_is_read_anew(own_etcd: EtcdServer, group: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        accounts(own_etcd)
        async with coordinator(own_etcd.address, group, options=account(tmp_path), timeout_secs=5) as locks:
            assert isinstance(await lock(locks, group, "a"), Granted)
            token = said(own_etcd, "/v3/auth/authenticate", name="root", password="root")["token"]
            changed = {"name": "tidegate", "password": "other"}
            posted(own_etcd, "/v3/auth/user/changepw", changed, httpx.create_ssl_context(), token)
            with pytest.raises(TidegateError, match="authentication failed"):
                await unlock(locks, group, "a")
            account(tmp_path, "other")
            assert await unlock(locks, group, "a") == Released(held=True)

    run(scenario())


@pytest.mark.parametrize(
    ("password", "prefix", "text"),
    [
        ("wrong", "com.coreos.airlock/", "user and the content of its password_file"),
        ("secret", "elsewhere/", "readwrite on the prefix com.coreos.airlock/"),
        (None, "com.coreos.airlock/", "set coordinator.etcd.user and password_file"),
    ],
)
def test_what_is_wrong_with_an_account_is_told(
    own_etcd: EtcdServer, tmp_path: Path, password: str | None, prefix: str, text: str
) -> None:
    async def scenario() -> None:
        accounts(own_etcd, prefix)
        with pytest.raises(TidegateError) as caught:
            await open_store(own_etcd.address, None if password is None else account(tmp_path, password))
        assert text in caught.value.remedy

    run(scenario())


def test_an_account_without_accounts_is_told(etcd: EtcdServer, tmp_path: Path) -> None:
    async def scenario() -> None:
        with pytest.raises(TidegateError) as caught:
            await open_store(etcd.address, account(tmp_path))
        assert "remove coordinator.etcd.user" in caught.value.remedy

    run(scenario())


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def tls_etcd(tmp_path: Path, authority: Authority) -> Generator[EtcdServer, None, None]:
    """One that wants to see a certificate."""
    own = authority.issue("etcd", "IP:127.0.0.1")
    arguments = (f"--cert-file={own.certificate}", f"--key-file={own.key}", "--client-cert-auth")
    with etcd_server(tmp_path, *arguments, f"--trusted-ca-file={authority.file}", scheme="https") as server:
        yield server


def test_tls_with_a_client_certificate(tls_etcd: EtcdServer, authority: Authority, group: str) -> None:
    async def scenario() -> None:
        own = authority.issue("tidegate")
        options = StoreOptions(authority.file, own.certificate, own.key)
        async with coordinator(tls_etcd.address, group, options=options) as locks:
            assert isinstance(await lock(locks, group, "a"), Granted)

    run(scenario())


def test_without_the_right_certificates_there_is_no_store(
    tls_etcd: EtcdServer, authority: Authority, group: str
) -> None:
    async def scenario() -> None:
        for options in (StoreOptions(ca_file=authority.file), StoreOptions()):
            async with coordinator(tls_etcd.address, group, options=options, timeout_secs=0.3) as locks:
                with pytest.raises(TidegateError) as caught:
                    await lock(locks, group, "a")
                assert caught.value.kind is ErrorKind.COORDINATOR_STORE_UNAVAILABLE

    run(scenario())


def test_tls_with_accounts_wants_a_certificate_without_a_name(
    tls_etcd: EtcdServer, authority: Authority, group: str, tmp_path: Path
) -> None:
    async def scenario() -> None:
        named, nameless = authority.issue("tidegate"), tmp_path / "nameless"
        _issue_nameless(tmp_path, nameless)
        secure = ssl.create_default_context(cafile=authority.file)
        secure.load_cert_chain(named.certificate, named.key)
        for path, body in (
            *(("/v3/auth/user/add", {"name": "root", "password": "secret"}), ("/v3/auth/role/add", {"name": "root"})),
            *(("/v3/auth/user/grant", {"user": "root", "role": "root"}), ("/v3/auth/enable", {})),
        ):
            posted(tls_etcd, path, body, secure, None)
        password = account(tmp_path).password_file
        options = StoreOptions(authority.file, named.certificate, named.key, "root", password)
        with pytest.raises(TidegateError, match="empty common name"):
            await open_store(tls_etcd.address, options)
        options = StoreOptions(authority.file, f"{nameless}.pem", f"{nameless}.key", "root", password)
        async with coordinator(tls_etcd.address, group, options=options) as locks:
            assert isinstance(await lock(locks, group, "a"), Granted)

    run(scenario())


def _issue_nameless(folder: Path, to: Path) -> None:
    for command in (
        f"openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /O=x -keyout {to}.key -out {to}.csr",
        f"openssl x509 -req -in {to}.csr -CA {folder}/ca.pem -CAkey {folder}/ca.key -CAcreateserial -out {to}.pem",
    ):
        subprocess.run(command.split(), check=True, capture_output=True, timeout=30)
