"""TLS, client certificates, and authentication of operators, over real sockets."""

from __future__ import annotations

import socket
import ssl
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from tests.fakes.bad_requests import GOOD_BODY, PATH
from tests.fakes.certificates import Authority, Pair
from tests.fakes.locks_at import ANY_PORT, local, locks_opener
from tests.fakes.memory_locks import MemoryLocks
from tests.fakes.running_coordinator import Running, running
from tidegate.clock import SystemClock
from tidegate.coordinator.settings import Admin, Coordinator, Tls
from tidegate.coordinator.web.auth import names_in
from tidegate.errors import TidegateError

HEADERS = {"fleet-lock-protocol": "true"}
GROUPS = "/admin/v1/groups"
SAN = "DNS:localhost,IP:127.0.0.1"
TOKEN = "correct-horse-battery-staple"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def own(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Coordinator:
    """TLS, clients with certificates, operators apart: by token, or as the certificate ``ops``."""
    folder = tmp_path_factory.mktemp("own")
    pair = authority.issue("server", SAN)
    token_file = folder / "tokens"
    token_file.write_text(f"# two operators\nalice {TOKEN}\nbob another-long-token-of-bob\n")
    token_file.chmod(0o600)
    admin = Admin(ANY_PORT, str(folder / "op.sock"), str(token_file), ("ops",))
    return local(folder, tls=Tls(pair.certificate, pair.key, authority.file), admin=admin)


@pytest.fixture(scope="module")
def place(own: Coordinator) -> Generator[Running, None, None]:
    with running(own, locks_opener(MemoryLocks(clock=SystemClock()))) as place:
        yield place


@contextmanager
def client(
    authority: Authority, url: str, pair: Pair | None = None, token: str = ""
) -> Generator[httpx.Client, None, None]:
    context = ssl.create_default_context(cafile=authority.file)
    if pair is not None:
        context.load_cert_chain(pair.certificate, pair.key)
    headers = {"authorization": f"Bearer {token}"} if token else {}
    with httpx.Client(base_url=url, verify=context, headers=headers, trust_env=False) as made:
        yield made


def test_a_client_with_a_certificate_gets_the_lock(place: Running, authority: Authority) -> None:
    with client(authority, place.url(0, "https"), authority.issue("host-1")) as https:
        assert https.post(PATH, headers=HEADERS, content=GOOD_BODY).status_code == 200


def test_a_client_without_one_does_not_get_in(place: Running, authority: Authority) -> None:
    with client(authority, place.url(0, "https")) as https, pytest.raises(httpx.TransportError):
        https.post(PATH, headers=HEADERS, content=GOOD_BODY)


def test_a_client_of_another_authority_does_not_get_in(place: Running, authority: Authority, tmp_path: Path) -> None:
    foreign = Authority(tmp_path, "foreign").issue("host-1")
    with client(authority, place.url(0, "https"), foreign) as https, pytest.raises(httpx.TransportError):
        https.post(PATH, headers=HEADERS, content=GOOD_BODY)


def test_plain_http_is_not_answered_where_tls_is(place: Running) -> None:
    with pytest.raises(httpx.TransportError):
        httpx.post(place.url() + PATH, headers=HEADERS, content=GOOD_BODY, trust_env=False)


def test_tls_1_3_is_spoken(place: Running, authority: Authority) -> None:
    context = ssl.create_default_context(cafile=authority.file)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_3
    with httpx.Client(base_url=place.url(1, "https"), verify=context, trust_env=False) as https:
        assert https.get("/healthz").status_code == 200


def test_monitoring_needs_no_certificate_at_the_operators_door(place: Running, authority: Authority) -> None:
    with client(authority, place.url(1, "https")) as https:
        assert https.get("/healthz").status_code == 200
        assert https.get("/metrics").status_code == 200


def test_locks_are_not_served_at_the_operators_door_nor_operators_at_the_locks(
    place: Running, authority: Authority
) -> None:
    with client(authority, place.url(1, "https"), token=TOKEN) as https:
        assert https.post(PATH, headers=HEADERS, content=GOOD_BODY).status_code == 404
    with client(authority, place.url(0, "https"), authority.issue("ops"), TOKEN) as https:
        assert https.get(GROUPS).status_code == 404
        assert https.get("/metrics").status_code == 404
        assert https.get("/healthz").status_code == 200


@pytest.mark.parametrize("token", [TOKEN, "another-long-token-of-bob"])
def test_a_token_lets_an_operator_in(place: Running, authority: Authority, token: str) -> None:
    with client(authority, place.url(1, "https"), token=token) as https:
        assert https.get(GROUPS).status_code == 200


@pytest.mark.parametrize("token", ["", "x", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "alice", f"alice {TOKEN}"])
def test_a_wrong_token_does_not(
    place: Running, authority: Authority, token: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"), client(authority, place.url(1, "https"), token=token) as https:
        reply = https.get(GROUPS)
    assert (reply.status_code, reply.json()["kind"]) == (401, "unauthorized")
    assert "what=admin-refused by=127.0.0.1 path=/admin/v1/groups" in caplog.text
    assert len(token) < 3 or token not in caplog.text


@pytest.mark.parametrize("scheme", ["Basic", "Token", "Bearer:"])
def test_only_bearer_carries_a_token(place: Running, authority: Authority, scheme: str) -> None:
    with client(authority, place.url(1, "https")) as https:
        assert https.get(GROUPS, headers={"authorization": f"{scheme} {TOKEN}"}).status_code == 401


def test_a_certificate_with_an_operators_name_lets_in_and_another_does_not(
    place: Running, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"), client(authority, place.url(1, "https"), authority.issue("ops")) as https:
        assert https.get(GROUPS).status_code == 200
    assert "by=ops@127.0.0.1" in caplog.text
    with client(authority, place.url(1, "https"), authority.issue("host-2")) as https:
        assert https.get(GROUPS).status_code == 401


def test_a_dns_name_counts_as_well(place: Running, authority: Authority) -> None:
    with client(authority, place.url(1, "https"), authority.issue("someone", "DNS:ops")) as https:
        assert https.get(GROUPS).status_code == 200


def test_a_reload_takes_new_certificates_tokens_and_names(tmp_path: Path, authority: Authority) -> None:
    first, second = authority.issue("first", SAN), authority.issue("second", SAN)
    token_file = tmp_path / "tokens"
    token_file.write_text(TOKEN)
    token_file.chmod(0o600)
    own = local(tmp_path, tls=Tls(first.certificate, first.key))
    own = replace(own, admin=replace(own.admin, token_file=str(token_file)))
    with running(own, locks_opener(MemoryLocks(clock=SystemClock()))) as place:
        assert _peer_name(place, authority) == "first"
        token_file.write_text("rotated-" + TOKEN)
        assert place.listeners is not None
        listeners = place.listeners
        place.do(lambda: listeners.reload(replace(own, tls=Tls(second.certificate, second.key))))
        assert _peer_name(place, authority) == "second"
        with client(authority, place.url(0, "https"), token=TOKEN) as https:
            assert https.get(GROUPS).status_code == 401
        with client(authority, place.url(0, "https"), token="rotated-" + TOKEN) as https:
            assert https.get(GROUPS).status_code == 200


def test_a_reload_with_a_bad_certificate_changes_nothing(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    pair = authority.issue("good", SAN)
    own = local(tmp_path, tls=Tls(pair.certificate, pair.key))
    with running(own, locks_opener(MemoryLocks(clock=SystemClock()))) as place:
        assert place.listeners is not None
        listeners = place.listeners
        place.do(lambda: listeners.reload(replace(own, tls=Tls(str(tmp_path / "gone"), pair.key))))
        assert _peer_name(place, authority) == "good"
    assert "stay in force" in caplog.text


@pytest.mark.parametrize("broken", ["gone", "empty", "mismatch", "password"])
def test_a_certificate_that_cannot_be_used_is_told_at_the_start(
    tmp_path: Path, authority: Authority, broken: str
) -> None:
    pair, other = authority.issue("a", SAN), authority.issue("b", SAN)
    (tmp_path / "empty").write_text("")
    locked = tmp_path / "locked.key"
    locked.write_text(_encrypted(pair.key))
    tls = {
        "gone": Tls(str(tmp_path / "gone"), pair.key),
        "empty": Tls(str(tmp_path / "empty"), pair.key),
        "mismatch": Tls(pair.certificate, other.key),
        "password": Tls(pair.certificate, str(locked)),
    }[broken]
    with (
        pytest.raises(TidegateError) as caught,
        running(local(tmp_path, tls=tls), locks_opener(MemoryLocks())),
    ):
        pass
    assert caught.value.kind == "config.invalid"
    assert str(tls.certificate) in caught.value.message


def _encrypted(key: str) -> str:
    command = ["openssl", "ec", "-in", key, "-aes128", "-passout", "pass:secret"]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout


def _peer_name(place: Running, authority: Authority) -> str:
    context = ssl.create_default_context(cafile=authority.file)
    address = place.addresses[0]
    with (
        socket.create_connection((address.host, address.port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as tls,
    ):
        certificate = tls.getpeercert()
    assert certificate is not None
    return names_in(certificate)[0]
