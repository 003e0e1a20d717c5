"""Make one HTTP request, bounded in time and size. Loads httpx, so only worker processes import it."""

from __future__ import annotations

import socket
import ssl
import threading
import zlib
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from tidegate import __version__
from tidegate.net.answers import Fault, HttpError, HttpResponse
from tidegate.net.tls import TlsFiles
from tidegate.system import regular_file

USER_AGENT = f"tidegate/{__version__}"

_CONNECT_SHARE = 1 / 3
"""The share of the timeout for connecting to each address of a host: after an unreachable IPv6 address, there is time
left for the IPv4 one."""

_GZIP_WINDOW_BITS = 16 + zlib.MAX_WBITS  # zlib's code for a gzip header with any window size
_GUNZIP_STEP_BYTES = 64 * 1024

_CONNECTING_PREFIX = "connection."
"""The prefix of httpcore's trace events up to the moment at which the request is sent (1.0)."""

_CLIENT_CERT_ALERTS = ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED", "HANDSHAKE_FAILURE")
"""Parts of OpenSSL's names of the TLS alerts that a server sends when it rejects or misses the client's certificate."""


@dataclass(frozen=True, slots=True)
class Post:
    """A POST request."""

    url: str
    body: bytes
    headers: Mapping[str, str]
    tls: TlsFiles


def get(
    url: str, max_bytes: int, timeout_secs: float, ca_file: str | None, accept: str = "application/json"
) -> HttpResponse:
    """GET ``url``. Redirects are returned, not followed; proxy settings of the environment are ignored.

    The body is cut one byte after ``max_bytes``. ``timeout_secs`` bounds each read, not their sum: the total deadline
    is the caller's.

    Raises:
        HttpError: there is no answer, or an incomplete one.
    """
    with (
        _as_http_error(),
        _client(url, timeout_secs, TlsFiles(ca_file)) as client,
        client.stream("GET", url, headers={"Accept": accept}) as response,
    ):
        return HttpResponse(response.status_code, dict(response.headers), _read(response, max_bytes))


def post(message: Post, max_bytes: int, timeout_secs: float, departed: threading.Event) -> HttpResponse:
    """POST ``message`` once, with the same limits as :func:`get`.

    ``departed`` is set before the first byte of the request is sent: while it is unset, the server has got nothing.

    Raises:
        HttpError: there is no answer, or an incomplete one.
    """

    def trace(event: str, _: object) -> None:
        if not event.startswith(_CONNECTING_PREFIX):
            departed.set()

    with (
        _as_http_error(),
        _client(message.url, timeout_secs, message.tls) as client,
        client.stream(
            "POST", message.url, content=message.body, headers=message.headers, extensions={"trace": trace}
        ) as response,
    ):
        return HttpResponse(response.status_code, dict(response.headers), _read(response, max_bytes))


@contextmanager
def _as_http_error() -> Generator[None]:
    try:
        yield
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError) as error:
        raise HttpError(Fault.BAD_ADDRESS, "not a valid address") from error
    except httpx.RemoteProtocolError as error:
        raise HttpError(Fault.NO_HTTP, f"does not speak valid HTTP: {error}") from error
    except httpx.TransportError as error:
        raise _no_answer(error) from error


def _client(url: str, timeout_secs: float, tls: TlsFiles) -> httpx.Client:
    return httpx.Client(
        verify=_tls(url, tls),
        trust_env=False,
        follow_redirects=False,
        timeout=httpx.Timeout(timeout_secs, connect=timeout_secs * _CONNECT_SHARE),
        headers={"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "gzip"},
    )


def _tls(url: str, files: TlsFiles) -> ssl.SSLContext:
    if not url.lower().startswith("https:"):
        # Never used, as redirects are not followed; httpx would load 140 authorities for it (0.28: 30 ms, 2 MiB).
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context = _trusting(files.ca_file)
    if files.client_cert_file is not None:
        _identify(context, files.client_cert_file, files.client_key_file or files.client_cert_file)
    return context


def _trusting(ca_file: str | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one: the file exists but has no certificate
        raise HttpError(Fault.BAD_CA_FILE, f"the authorities in {ca_file} cannot be read: {error.strerror}") from error
    if ca_file is not None:
        # The flag is set by default since Python 3.13, not by curl: it rejects an authority without keyUsage, which
        # `openssl req -x509` makes. Such an authority must not stop working when an update brings a newer Python.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _identify(context: ssl.SSLContext, cert_file: str, key_file: str) -> None:
    for file in (cert_file, key_file):
        _check_readable(file)  # separately: errors of load_cert_chain() do not name the file
    try:
        context.load_cert_chain(cert_file, key_file, password="")  # without one, OpenSSL would ask at a terminal
    except ssl.SSLError as error:
        why = "are not PEM files of a certificate and its key without a passphrase"
        raise HttpError(Fault.BAD_CLIENT_CERT, f"{cert_file} and {key_file} {why}") from error


def _check_readable(file: str) -> None:
    try:
        regular_file.read_start(file, 1)
    except OSError as error:
        raise HttpError(Fault.BAD_CLIENT_CERT, f"{file} cannot be read: {error.strerror}") from error


def _read(response: httpx.Response, max_bytes: int) -> bytes:
    body = bytearray()
    try:
        for piece in _decoded(response):
            body += piece[: max_bytes + 1 - len(body)]
            if len(body) > max_bytes:
                break
    except httpx.TransportError as error:
        raise HttpError(Fault.UNREACHABLE, f"broke off after {len(body)} bytes: {_why(error)}") from error
    return bytes(body)


def _decoded(response: httpx.Response) -> Iterator[bytes]:
    match response.headers.get("content-encoding", "identity").lower():
        case "identity":
            return response.iter_raw()
        case "gzip" | "x-gzip":
            return _gunzipped(response.iter_raw())
        case other:
            raise HttpError(Fault.NO_HTTP, f"answers compressed with {other!r}, which was not asked for")


def _gunzipped(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Decompress in steps, so that a decompression bomb is cut at the limit: httpx would inflate each piece whole."""
    unpacker = zlib.decompressobj(_GZIP_WINDOW_BITS)
    try:
        for received in pieces:
            piece = received
            while piece and not unpacker.eof:
                yield unpacker.decompress(piece, _GUNZIP_STEP_BYTES)
                piece = unpacker.unconsumed_tail
        yield unpacker.flush()
    except zlib.error as error:
        raise HttpError(Fault.NO_HTTP, f"answers with damaged gzip data: {error}") from error
    if not unpacker.eof:
        raise HttpError(Fault.NO_HTTP, "answers with gzip data that ends too early")


def _no_answer(error: httpx.TransportError) -> HttpError:
    match _root_cause(error):
        case ssl.SSLCertVerificationError():
            return HttpError(Fault.UNTRUSTED, _why(error))
        case ssl.SSLError(reason=str(alert)) if "ALERT" in alert and any(part in alert for part in _CLIENT_CERT_ALERTS):
            return HttpError(Fault.CLIENT_CERT_REJECTED, _why(error))
        case _:
            return HttpError(Fault.UNREACHABLE, _why(error))


def _why(error: httpx.TransportError) -> str:
    """The cause at the end of a chain of wrapped errors, in a few words."""
    match _root_cause(error):
        case ssl.SSLCertVerificationError() as refused:
            return f"its certificate is not accepted: {refused.verify_message}"
        case ssl.SSLError(reason=str(alert)) if "CERTIFICATE_REQUIRED" in alert:  # TLS 1.3 only
            return "it requires a client certificate"
        case ssl.SSLError() as failed:
            return f"TLS failed: {failed.reason or failed}"
        case socket.gaierror() as unresolved:
            return f"its name does not resolve: {unresolved.strerror}"
        case TimeoutError():
            return "no answer in time"
        case OSError(strerror=str(text)):
            return text
        case cause:
            return str(cause)


def _root_cause(error: BaseException) -> BaseException:
    while (below := error.__cause__ or error.__context__) is not None:  # httpcore 1.0 re-raises without "from"
        error = below
    return error
