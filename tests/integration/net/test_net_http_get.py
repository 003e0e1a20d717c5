"""The HTTP of the net-worker against servers that misbehave, over real sockets, in this process."""

from __future__ import annotations

import ssl
import subprocess
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest

from tests.fakes.http_misbehaving import (
    Behaviour,
    Server,
    answers,
    bomb,
    cut_short,
    endless,
    raw,
    resets,
    serving,
    silent,
    zipped,
)
from tidegate.net.answers import Fault, HttpError, HttpResponse
from tidegate.net.http import USER_AGENT, get

MAX_BYTES = 64 * 1024
ENOUGH_SECS = 20.0
SOON_SECS = 0.3


def ask(server: Server, timeout_secs: float = ENOUGH_SECS, url: str = "") -> HttpResponse:
    return get(url or server.url(), MAX_BYTES, timeout_secs, None)


def fault(behaviour: Behaviour, timeout_secs: float = ENOUGH_SECS) -> tuple[Fault, str]:
    with serving(behaviour) as server, pytest.raises(HttpError) as caught:
        ask(server, timeout_secs)
    return caught.value.fault, str(caught.value)


def test_a_proper_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")  # would be refused if it were heeded
    with serving(answers(b'{"a": 1}', headers={"X-Tag": "t"})) as server:
        response = ask(server, url=server.url("/g?x=1", userinfo="me:p%2Fw@"))
    assert (response.status, response.body, response.headers["x-tag"]) == (200, b'{"a": 1}', "t")
    [head] = server.requests
    assert head.startswith("GET /g?x=1 HTTP/1.1\r\n")
    assert f"\r\nUser-Agent: {USER_AGENT}\r\n" in head
    assert "\r\nAccept: application/json\r\n" in head
    assert "\r\nAuthorization: Basic bWU6cC93\r\n" in head  # me:p/w


def test_a_refusal_is_an_answer() -> None:
    with serving(answers(b"busy", "503 Service Unavailable", {"Retry-After": "7"})) as server:
        response = ask(server)
    assert (response.status, response.body, response.headers["retry-after"]) == (503, b"busy", "7")


def test_redirects_are_not_followed() -> None:
    with serving(answers(b"", "302 Found", {"Location": "/elsewhere"})) as server:
        response = ask(server)
    assert (response.status, len(server.requests)) == (302, 1)


def test_compressed_answers_are_unpacked() -> None:
    with serving(zipped(b"abc" * 10_000)) as server:
        assert ask(server).body == b"abc" * 10_000


@pytest.mark.parametrize("behaviour", [answers(b"a" * 3 * MAX_BYTES), endless, bomb(64 * 1024 * 1024)])
def test_no_more_is_taken_than_allowed(behaviour: Behaviour) -> None:
    with serving(behaviour) as server:
        assert len(ask(server).body) == MAX_BYTES + 1


def test_a_bomb_is_never_in_memory() -> None:
    with serving(bomb(64 * 1024 * 1024)) as server:
        tracemalloc.start()
        ask(server)
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak_bytes < 8 * 1024 * 1024


def test_the_scheme_may_be_in_capitals(certificate: Path) -> None:
    with serving(answers(b"{}"), tls_server(certificate)) as server:
        assert get(server.url(scheme="HTTPS"), MAX_BYTES, ENOUGH_SECS, str(certificate)).body == b"{}"


@pytest.mark.parametrize(
    "head",
    [
        b"Location: http://[::1/",
        b"Location: \xff\xfe",
        b"Location: ftp://host/",
        b"Set-Cookie: \xff=;;;=; expires=never",
        b"Content-Length: -1",
        b"Content-Length: 1\r\nContent-Length: 2",
        b"Content-Encoding: \xff",
        b"Transfer-Encoding: chunked, gzip",
        b"Transfer-Encoding: chunked\r\n\r\nzz",
        b"Connection: upgrade\r\nUpgrade: websocket",
        b": nameless",
    ],
)
@pytest.mark.parametrize("status", [b"200 OK", b"302 Found", b"101 Switching Protocols", b"999", b"\xff"])
def test_whatever_the_head_says_there_is_an_answer_or_an_error(status: bytes, head: bytes) -> None:
    with serving(raw(b"HTTP/1.1 " + status + b"\r\n" + head + b"\r\n\r\n{}")) as server, suppress(HttpError):
        assert 100 <= ask(server).status <= 999


def test_the_limit_itself_is_allowed() -> None:
    with serving(answers(b"a" * MAX_BYTES)) as server:
        assert len(ask(server).body) == MAX_BYTES


@pytest.mark.parametrize(
    ("behaviour", "expected", "words"),
    [
        (raw(b""), Fault.NO_HTTP, "Server disconnected without sending a response"),
        (raw(b"SSH-2.0-OpenSSH_9.2\r\n"), Fault.NO_HTTP, "does not speak valid HTTP"),
        (raw(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 1_000_000), Fault.NO_HTTP, "does not speak valid HTTP"),
        (cut_short(b"{}"), Fault.UNREACHABLE, "broke off after 2 bytes"),
        (resets(), Fault.UNREACHABLE, "Connection reset by peer"),
        (answers(b"{}", headers={"Content-Encoding": "br"}), Fault.NO_HTTP, "compressed with 'br'"),
        (answers(b"{}", headers={"Content-Encoding": "gzip"}), Fault.NO_HTTP, "damaged gzip data"),
        (
            raw(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n"),
            Fault.NO_HTTP,
            "gzip data that ends too early",
        ),
    ],
)
def test_answers_that_are_none(behaviour: Behaviour, expected: Fault, words: str) -> None:
    found, text = fault(behaviour)
    assert (found, words in text) == (expected, True), text


def test_silence_ends() -> None:
    assert fault(silent, SOON_SECS) == (Fault.UNREACHABLE, "no answer in time")


def test_nobody_there() -> None:
    with serving(silent) as server:
        pass  # its port is free again
    with pytest.raises(HttpError) as caught:
        ask(server)
    assert (caught.value.fault, str(caught.value)) == (Fault.UNREACHABLE, "Connection refused")


def test_no_such_name() -> None:
    with pytest.raises(HttpError, match="its name does not resolve") as caught:
        get("http://nobody.invalid/", MAX_BYTES, ENOUGH_SECS, None)
    assert caught.value.fault is Fault.UNREACHABLE


@pytest.mark.parametrize("url", ["http://a\0b/", "http://host:99999/", "http://%zz%/"])
def test_addresses_that_only_the_library_refuses(url: str) -> None:
    with pytest.raises(HttpError) as caught:
        get(url, MAX_BYTES, ENOUGH_SECS, None)
    assert caught.value.fault in {Fault.BAD_ADDRESS, Fault.UNREACHABLE}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for 127.0.0.1 that nobody has signed but itself, in one file."""
    folder = tmp_path_factory.mktemp("tls")
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "key.pem"]
    command = ["openssl", "req", "-x509", "-days", "2", "-out", "cert.pem", *key, *names]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_bytes((folder / "key.pem").read_bytes() + (folder / "cert.pem").read_bytes())
    return both


def tls_server(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_own_authorities(certificate: Path) -> None:
    with serving(answers(b"{}"), tls_server(certificate)) as server:
        url = server.url(scheme="https")
        assert get(url, MAX_BYTES, ENOUGH_SECS, str(certificate)).body == b"{}"


def test_unknown_authorities(certificate: Path) -> None:
    with serving(answers(b"{}"), tls_server(certificate)) as server, pytest.raises(HttpError) as caught:
        ask(server, url=server.url(scheme="https"))
    assert caught.value.fault is Fault.UNTRUSTED
    assert str(caught.value) == "its certificate is not accepted: self-signed certificate"
    assert server.requests == []


def test_a_name_that_the_certificate_does_not_have(certificate: Path) -> None:
    with serving(answers(b"{}"), tls_server(certificate)) as server:
        url = server.url(scheme="https").replace("127.0.0.1", "localhost")
        with pytest.raises(HttpError) as caught:
            get(url, MAX_BYTES, ENOUGH_SECS, str(certificate))
    assert caught.value.fault is Fault.UNTRUSTED
    assert "localhost" in str(caught.value)


def test_tls_to_a_server_without() -> None:
    with serving(raw(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as server, pytest.raises(HttpError) as caught:
        ask(server, url=server.url(scheme="https"))
    assert caught.value.fault is Fault.UNREACHABLE
    assert str(caught.value).startswith("TLS failed: ")


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_a_file_of_authorities_that_is_none(tmp_path: Path, content: str | None) -> None:
    ca_file = tmp_path / "ca.pem"
    if content is not None:
        ca_file.write_text(content)
    with pytest.raises(HttpError, match=str(ca_file)) as caught:
        get("https://127.0.0.1:1/", MAX_BYTES, ENOUGH_SECS, str(ca_file))
    assert caught.value.fault is Fault.BAD_CA_FILE
