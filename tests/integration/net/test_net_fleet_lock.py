"""The FleetLock client against correct and faulty servers, over real sockets and TLS.

One table for both verbs: what a server does, and what the host then knows of its slot. The answers as such are in the
unit tests; here it is about what happens on the way to one, and about what is sent.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.fakes.http_misbehaving import (
    Behaviour,
    Server,
    answers,
    bomb,
    cut_short,
    deaf,
    drips,
    endless,
    raw,
    resets,
    serving,
    silent,
    zipped,
)
from tidegate.errors import ErrorKind, TidegateError
from tidegate.fleetlock.account import LockAccount, LockBusy, LockGranted, LockReleased, LockServer
from tidegate.fleetlock.client import NetLock
from tidegate.fleetlock.protocol import ReleaseTag, UpdateParams, Verb
from tidegate.fleetlock.request import answer
from tidegate.fleetlock.wire import LockEvent, LockRequest, UnlockEvent
from tidegate.net.client import NetClient
from tidegate.net.wire import ErrorEvent, Event, NetError

ENOUGH_SECS = 20.0
SOON_SECS = 1.5
PATIENCE_SECS = 10.0
UNREACHABLE, UNCERTAIN = ErrorKind.LOCK_UNREACHABLE, ErrorKind.LOCK_UNCERTAIN
REFUSED, NONSENSE = ErrorKind.LOCK_REFUSED, ErrorKind.LOCK_NONSENSE

GRANTED, RELEASED = LockEvent(LockGranted()), UnlockEvent(LockReleased())
LOGIN = b"<!DOCTYPE html>\n<title>Log in</title>"
OK = b"HTTP/1.1 200 OK\r\n"


def error(kind: str, value: str = "words") -> bytes:
    return json.dumps({"kind": kind, "value": value}).encode()


def account(base_url: str, timeout_secs: float = ENOUGH_SECS) -> LockAccount:
    return LockAccount(base_url, "workers", "4aed", timeout_secs)


def ask(asked: LockAccount, verb: Verb = Verb.PRE_REBOOT) -> Event:
    """What the worker makes of it, in this process."""
    return answer(LockRequest(verb, asked), threading.Event())


def outcome(event: Event) -> object:
    """The answer, or the kind of error."""
    match event:
        case LockEvent(answer=found) | UnlockEvent(answer=found):
            return found
        case ErrorEvent(kind=kind):
            return kind
        case _:
            return event


# What is said -----------------------------------------------------------------------------------------------------


ANSWERS: dict[str, tuple[Behaviour, object, object]] = {
    "200 without a body": (answers(b""), LockGranted(), LockReleased()),
    "204": (raw(b"HTTP/1.1 204 No Content\r\n\r\n"), NONSENSE, NONSENSE),
    "a sentence": (answers(b"obtained reboot lease"), LockGranted(), LockReleased()),
    "JSON": (answers(b'{"grant":"g1-17"}'), LockGranted(), LockReleased()),
    "an object of success": (answers(error("success")), LockGranted(), LockReleased()),
    "compressed": (zipped(b'{"grant":"g1-17"}'), LockGranted(), LockReleased()),
    "HTTP/1.0, until it hangs up": (
        raw(b"HTTP/1.0 200 OK\r\n\r\nretained reboot lease"),
        LockGranted(),
        LockReleased(),
    ),
    "chunks": (
        raw(OK + b"Transfer-Encoding: chunked\r\n\r\n15\r\nobtained reboot lease\r\n0\r\n\r\n"),
        LockGranted(),
        LockReleased(),
    ),
    "100 before it": (raw(b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"\r\n"), LockGranted(), LockReleased()),
    "another sentence": (answers(b"ok"), NONSENSE, NONSENSE),
    "423": (
        answers(error("lock_held", "held by 17"), "423 Locked"),
        LockBusy("answers 423 Locked: lock_held: held by 17"),
        LockReleased("answers 423 Locked: lock_held: held by 17"),
    ),
    "423 with patience": (
        answers(b"", "423 Locked", {"Retry-After": "60"}),
        LockBusy("answers 423 Locked", 60.0),
        LockReleased("answers 423 Locked"),
    ),
    "airlock, full": (
        answers(error("failed_lock", "all 1 semaphore slots currently locked"), "500 Internal Server Error"),
        LockBusy("answers 500 Internal Server Error: failed_lock: all 1 semaphore slots currently locked"),
        UNCERTAIN,
    ),
    "429 with a date": (
        answers(
            b"",
            "429 Too Many Requests",
            {"Retry-After": "Sat, 21 Nov 2026 10:02:00 GMT", "Date": "Sat, 21 Nov 2026 10:00:00 GMT"},
        ),
        LockBusy("answers 429 Too Many Requests", 120.0),
        UNCERTAIN,
    ),
    "airlock, store away": (answers(error("failed_sem_init"), "500 Internal Server Error"), UNCERTAIN, UNCERTAIN),
    "503": (answers(error("backend_unavailable"), "503 Service Unavailable"), UNCERTAIN, UNCERTAIN),
    "504 with a page": (answers(LOGIN, "504 Gateway Timeout"), UNCERTAIN, UNCERTAIN),
    "400": (answers(error("unknown_group"), "400 Bad Request"), REFUSED, REFUSED),
    "400 without a word": (answers(b"", "400 Bad Request"), REFUSED, REFUSED),
    "kind that is none": (answers(b'{"kind": 4, "value": null}', "400 Bad Request"), REFUSED, REFUSED),
    "401": (answers(b"Unauthorized", "401 Unauthorized"), REFUSED, REFUSED),
    "404": (answers(b"404 page not found\n", "404 Not Found"), REFUSED, REFUSED),
    "405": (answers(error("method_not_allowed"), "405 Method Not Allowed"), REFUSED, REFUSED),
    "plain HTTP to HTTPS": (raw(b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request"), REFUSED, REFUSED),
    "a refusal larger than is taken": (answers(b"x" * 200_000, "400 Bad Request"), REFUSED, REFUSED),
    "redirect": (answers(b"", "301 Moved Permanently", {"Location": "https://elsewhere/"}), NONSENSE, NONSENSE),
    "redirect that keeps the method": (answers(b"", "308 Permanent Redirect", {"Location": "/"}), NONSENSE, NONSENSE),
    "login page": (answers(LOGIN, headers={"Content-Type": "text/html"}), NONSENSE, NONSENSE),
    "login page called JSON": (answers(LOGIN, headers={"Content-Type": "application/json"}), NONSENSE, NONSENSE),
    "portal in words": (answers(b"Welcome", headers={"Content-Type": "text/html"}), NONSENSE, NONSENSE),
    "compressed portal": (zipped(LOGIN), NONSENSE, NONSENSE),
    "endless portal": (raw(OK + b"\r\n" + LOGIN + b" " * 200_000), NONSENSE, NONSENSE),
    "portal's status": (answers(LOGIN, "511 Network Authentication Required"), NONSENSE, NONSENSE),
    "bytes": (answers(bytes(range(256))), NONSENSE, NONSENSE),
    "an endless body": (endless, NONSENSE, NONSENSE),
    "a bomb": (bomb(16 * 1024 * 1024), NONSENSE, NONSENSE),
    "a success that carries an error": (answers(error("internal_error")), NONSENSE, NONSENSE),
    # From here on the request went out and what came back says nothing.
    "hangs up": (raw(b""), UNCERTAIN, UNCERTAIN),
    "reset": (resets(), UNCERTAIN, UNCERTAIN),
    "reset within the head": (resets(b"HTTP/1.1 200 O"), UNCERTAIN, UNCERTAIN),
    "reset within the body": (resets(OK + b"Content-Length: 30\r\n\r\nobtained"), UNCERTAIN, UNCERTAIN),
    "cut in the status": (raw(b"HTTP/1.1 2"), UNCERTAIN, UNCERTAIN),
    "cut in the head": (raw(OK + b"Content-Type: text/pl"), UNCERTAIN, UNCERTAIN),
    "cut in the body": (cut_short(b"obtained reboot le"), UNCERTAIN, UNCERTAIN),
    "cut in the chunks": (raw(OK + b"Transfer-Encoding: chunked\r\n\r\n9\r\nobt"), UNCERTAIN, UNCERTAIN),
    "chunks that are none": (raw(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"), UNCERTAIN, UNCERTAIN),
    "two lengths": (raw(OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nok"), UNCERTAIN, UNCERTAIN),
    "a length below nothing": (raw(OK + b"Content-Length: -1\r\n\r\n"), UNCERTAIN, UNCERTAIN),
    "an endless head": (raw(OK + b"X: " + b"a" * 1_000_000), UNCERTAIN, UNCERTAIN),
    "damaged gzip": (answers(b"ok", headers={"Content-Encoding": "gzip"}), UNCERTAIN, UNCERTAIN),
    "compressed as was not asked for": (answers(b"ok", headers={"Content-Encoding": "br"}), UNCERTAIN, UNCERTAIN),
    "SSH": (raw(b"SSH-2.0-OpenSSH_9.2\r\n"), UNCERTAIN, UNCERTAIN),
    "101": (raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"), UNCERTAIN, UNCERTAIN),
    "100 and no more": (raw(b"HTTP/1.1 100 Continue\r\n\r\n"), UNCERTAIN, UNCERTAIN),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_what_is_known_of_the_slot_after_an_answer(name: str) -> None:
    behaviour, pre_reboot, steady_state = ANSWERS[name]
    with serving(behaviour) as server:
        asked = account(server.url("/"))
        found = {verb: ask(asked, verb) for verb in Verb}
    assert outcome(found[Verb.PRE_REBOOT]) == pre_reboot, found
    assert outcome(found[Verb.STEADY_STATE]) == steady_state, found
    assert len(server.requests) == 2  # each was sent once
    for verb, event in found.items():
        if isinstance(event, ErrorEvent):
            assert event.message.startswith(f"{server.url(f'/v1/{verb}')} (group workers): ")
            assert event.remedy


def test_silence_after_the_request_leaves_it_open() -> None:
    with serving(silent) as server:
        event = ask(account(server.url("/"), SOON_SECS))
    assert isinstance(event, ErrorEvent)
    assert (event.kind, event.message.endswith(": no answer in time")) == (UNCERTAIN, True)


# What never leaves ------------------------------------------------------------------------------------------------


def never_sent(asked: LockAccount) -> ErrorEvent:
    departed = threading.Event()
    event = answer(LockRequest(Verb.PRE_REBOOT, asked), departed)
    assert isinstance(event, ErrorEvent)
    assert (event.kind, departed.is_set()) == (UNREACHABLE, False), event
    assert event.remedy
    return event


def test_nobody_there() -> None:
    with serving(silent) as server:
        pass  # its port is free again
    assert never_sent(account(server.url("/"))).message.endswith(": Connection refused")


def test_no_such_name() -> None:
    assert ": its name does not resolve" in never_sent(account("http://nobody.invalid/")).message


def test_a_host_that_drops_everything() -> None:
    with deaf() as server:
        assert never_sent(account(server.url("/"), SOON_SECS)).message.endswith(": no answer in time")


def test_tls_to_a_server_without() -> None:
    with serving(raw(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as server:
        assert ": TLS failed: " in never_sent(account(server.url("/", "https"))).message


def test_tls_to_a_server_that_never_shakes_hands() -> None:
    with serving(silent) as server:
        event = never_sent(account(server.url("/", "https"), SOON_SECS))
    assert event.message.endswith(": no answer in time")


# What is sent -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", Verb)
@pytest.mark.parametrize("path", ["", "/", "/fleet_lock", "/fleet_lock/", "/a/b//"])
def test_the_request_is_the_protocols(path: str, verb: Verb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")  # would be refused if it were heeded
    with serving(answers(b"")) as server:
        ask(account(server.url(path)), verb)
    [head], [body] = server.requests, server.bodies
    line, *fields = head.lower().splitlines()
    assert line == f"post {path.rstrip('/')}/v1/{verb} http/1.1"
    assert fields.count("fleet-lock-protocol: true") == 1
    assert fields.count("content-type: application/json") == 1
    assert not [one for one in fields if one.startswith(("authorization", "transfer-encoding", "expect", "cookie"))]
    assert json.loads(body) == {"client_params": {"id": "4aed", "group": "workers"}}


def test_the_extension_is_told_only_where_it_is_given() -> None:
    update = UpdateParams("tidegate/1", "0" * 32, ReleaseTag("1", "c1"), ReleaseTag("2", "c2"))
    with serving(answers(b"")) as server:
        event = answer(LockRequest(Verb.PRE_REBOOT, account(server.url("/")), update), threading.Event())
    assert event == GRANTED
    sent = json.loads(server.bodies[0])
    assert sent["client_params"] == {"id": "4aed", "group": "workers"}
    assert sent["update_params"]["target"] == {"version": "2", "digest": "c2"}


@pytest.mark.parametrize("status", ["401 Unauthorized", "423 Locked", "500 Internal Server Error", "200 OK"])
def test_a_token_is_sent_and_never_shown(tmp_path: Path, status: str) -> None:
    token = tmp_path / "token"
    token.write_text("s3cr3t.T0ken==\n", encoding="ascii")
    token.chmod(0o600)
    with serving(answers(b"s3cr3t.T0ken== it is", status)) as server:
        shown = [repr(ask(replace(account(server.url("/")), token_file=str(token)), verb)) for verb in Verb]
    assert all("\r\nAuthorization: Bearer s3cr3t.T0ken==\r\n" in head for head in server.requests)
    assert not [text for text in shown if "s3cr3t" in text]
    assert ["*** it is" in text for text in shown] == [True] * 2


def test_a_user_in_the_address_is_sent_and_never_shown() -> None:
    with serving(answers(b"", "403 Forbidden")) as server:
        event = ask(account(server.url("/", userinfo="me:p%2Fw@")))
    assert "\r\nAuthorization: Basic bWU6cC93\r\n" in server.requests[0]  # me:p/w
    assert isinstance(event, ErrorEvent)
    assert event.message == f"{server.url('/v1/pre-reboot', userinfo='***@')} (group workers): answers 403 Forbidden"


def test_a_token_is_not_carried_to_where_a_redirect_points(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cr3t", encoding="ascii")
    token.chmod(0o600)
    with serving(answers(b"")) as other:
        behaviour = answers(b"", "307 Temporary Redirect", {"Location": other.url("/v1/pre-reboot")})
        with serving(behaviour) as server:
            assert outcome(ask(replace(account(server.url("/")), token_file=str(token)))) is NONSENSE
    assert other.requests == []


# TLS --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pki:
    """An authority, what it signed for the server and for the host, and another authority."""

    folder: Path

    def file(self, name: str) -> str:
        return str(self.folder / f"{name}.pem")

    def server(self, wants_client: bool, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = context.maximum_version = version
        context.load_cert_chain(self.file("server"), self.file("server.key"))
        if wants_client:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.file("ca"))
        return context


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    folder = tmp_path_factory.mktemp("pki")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    def certificate(name: str, subject: str, *options: str) -> None:
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key.pem")
        openssl("req", "-x509", "-days", "2", "-out", f"{name}.pem", "-subj", f"/CN={subject}", *key, *options)

    by_ca = ("-CA", "ca.pem", "-CAkey", "ca.key.pem", "-addext", "basicConstraints=critical,CA:FALSE")
    certificate("ca", "the authority")
    certificate("other", "somebody else")
    certificate("server", "127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", *by_ca)
    certificate("host", "4aed", *by_ca)
    openssl("ec", "-in", "host.key.pem", "-aes256", "-passout", "pass:x", "-out", "locked.key.pem")
    (folder / "both.pem").write_bytes((folder / "host.pem").read_bytes() + (folder / "host.key.pem").read_bytes())
    return Pki(folder)


def over_tls(server: Server, pki: Pki, cert: str | None = None, key: str | None = None, ca: str = "ca") -> LockAccount:
    return replace(
        account(server.url("/", "https")),
        ca_file=pki.file(ca),
        client_cert_file=pki.file(cert) if cert else None,
        client_key_file=pki.file(key) if key else None,
    )


BOTH_VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])


@BOTH_VERSIONS
@pytest.mark.parametrize(("cert", "key"), [("host", "host.key"), ("both", "both"), ("both", None)])
def test_a_client_certificate(pki: Pki, cert: str, key: str | None, version: ssl.TLSVersion) -> None:
    with serving(answers(b""), pki.server(True, version)) as server:
        assert ask(over_tls(server, pki, cert, key)) == GRANTED


def test_a_server_that_does_not_want_one(pki: Pki) -> None:
    with serving(answers(b""), pki.server(False)) as server:
        assert ask(over_tls(server, pki), Verb.STEADY_STATE) == RELEASED
        assert ask(over_tls(server, pki, "host", "host.key")) == GRANTED


@BOTH_VERSIONS
@pytest.mark.parametrize(("cert", "key"), [(None, None), ("other", "other.key")])
def test_without_a_certificate_that_the_server_trusts(
    pki: Pki, cert: str | None, key: str | None, version: ssl.TLSVersion
) -> None:
    with serving(answers(b""), pki.server(True, version)) as server:
        event = ask(over_tls(server, pki, cert, key))
    assert isinstance(event, ErrorEvent)
    assert event.kind is REFUSED, event
    assert "client_cert_file" in event.remedy
    assert server.requests == []  # it was never read


def test_an_authority_that_this_host_does_not_trust(pki: Pki) -> None:
    with serving(answers(b""), pki.server(False)) as server:
        event = never_sent(over_tls(server, pki, ca="other"))
        assert never_sent(replace(over_tls(server, pki), ca_file=None)).kind is UNREACHABLE
    assert "its certificate is not accepted: " in event.message
    assert "ca_file" in event.remedy
    assert server.requests == []


def test_a_name_that_the_certificate_does_not_have(pki: Pki) -> None:
    with serving(answers(b""), pki.server(False)) as server:
        asked = over_tls(server, pki)
        event = never_sent(replace(asked, base_url=asked.base_url.replace("127.0.0.1", "localhost")))
    assert "localhost" in event.message


@pytest.mark.parametrize(
    ("cert", "key", "words"),
    [
        ("host", "other.key", "are not PEM files of a certificate and its"),
        ("host", "locked.key", "without a passphrase"),
        ("host", "host", "are not PEM files"),
        ("host.key", "host.key", "are not PEM files"),
        ("missing", "host.key", "missing.pem cannot be read: No such file or directory"),
        ("host", "missing", "missing.pem cannot be read: No such file or directory"),
    ],
)
def test_files_that_make_no_identity(pki: Pki, cert: str, key: str, words: str) -> None:
    with serving(answers(b""), pki.server(True)) as server:
        event = never_sent(over_tls(server, pki, cert, key))
    assert words in event.message
    assert "PEM" in event.remedy


# The agent's side -------------------------------------------------------------------------------------------------


def test_through_a_worker_there_and_back(pki: Pki, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cr3t", encoding="ascii")
    token.chmod(0o600)
    lock: LockServer = NetLock(NetClient())
    extended = answers(b"obtained reboot lease", headers={"Fleet-Lock-Extensions": "rollout-v1"})
    with serving(extended, pki.server(True)) as server:  # over TLS, its yes to the probe is no verdict
        asked = replace(over_tls(server, pki, "host", "host.key"), token_file=str(token))
        assert asyncio.run(lock.acquire(asked, UpdateParams(boot_id="0" * 32))) == LockGranted()
        assert asyncio.run(lock.release(asked, None)) == LockReleased()
    assert [head.split()[1] for head in server.requests] == ["/v1/steady-state", "/v1/pre-reboot", "/v1/steady-state"]
    probe, *others = server.bodies
    assert not probe
    assert ["update_params" in json.loads(body) for body in others] == [True, False]
    assert all("\r\nAuthorization: Bearer s3cr3t\r\n" in head for head in server.requests)


def test_errors_come_through_a_worker_with_the_servers_wish() -> None:
    behaviour = answers(error("backend_unavailable"), "503 Service Unavailable", {"Retry-After": "5"})
    with serving(behaviour) as server, pytest.raises(NetError) as caught:
        asyncio.run(NetLock(NetClient()).acquire(account(server.url("/")), None))
    assert (caught.value.kind, caught.value.retry_after_secs) == (UNCERTAIN, 5.0)


def test_busy_comes_through_a_worker() -> None:
    with serving(answers(b"", "423 Locked", {"Retry-After": "60"})) as server:
        lock, asked = NetLock(NetClient()), account(server.url("/"))
        assert asyncio.run(lock.acquire(asked, None)) == LockBusy("answers 423 Locked", 60.0)
        assert asyncio.run(lock.release(asked, None)) == LockReleased("answers 423 Locked")


SLOW: dict[str, tuple[str, Behaviour, ErrorKind]] = {
    "silence": ("http", silent, UNCERTAIN),
    "a slow status": ("http", drips(b""), UNCERTAIN),
    "a slow head": ("http", drips(OK + b"X-Slow: "), UNCERTAIN),
    "a slow body": ("http", drips(OK + b"Content-Length: 9999\r\n\r\n"), UNCERTAIN),
    "a slow handshake": ("https", drips(b"\x16\x03\x03\x40\x00"), UNREACHABLE),  # the head of a long TLS record
}


def test_the_whole_ends_in_time() -> None:
    """All at once, with enough time for so many workers to start on a small board."""

    async def failure(server: Server, scheme: str) -> TidegateError:
        with pytest.raises(TidegateError) as caught:
            await NetLock(NetClient()).acquire(account(server.url("/", scheme), PATIENCE_SECS), None)
        return caught.value

    async def failures(servers: dict[str, Server]) -> list[TidegateError]:
        return await asyncio.gather(*(failure(server, SLOW[name][0]) for name, server in servers.items()))

    with ExitStack() as stack:
        servers = {name: stack.enter_context(serving(behaviour)) for name, (_, behaviour, _) in SLOW.items()}
        found = dict(zip(SLOW, asyncio.run(failures(servers)), strict=True))
    assert {name: error.kind for name, error in found.items()} == {name: kind for name, (_, _, kind) in SLOW.items()}
    ends = (f": no whole answer within {PATIENCE_SECS:g} s", ": no answer in time")
    assert all(error.message.endswith(ends) for error in found.values())


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    """What a test started ends with it: soon, since a thread that has done its work still needs a processor to end."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + ENOUGH_SECS
    while (left := set(threading.enumerate()) - before) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not left
