"""One HTTP request, bounded in time and size. The only importer of httpx; the agent itself never loads this module."""

from __future__ import annotations

import socket
import ssl
import zlib
from collections.abc import Iterator

import httpx

from tidegate import __version__
from tidegate.net.answers import Fault, HttpError, HttpResponse

USER_AGENT = f"tidegate/{__version__}"

_CONNECT_SHARE = 1 / 3
"""Of the whole time, for each address of a host: a dead IPv6 address leaves time for the IPv4 one behind it."""

_GZIP_WINDOW_BITS = 16 + zlib.MAX_WBITS  # zlib's way to say: a gzip header, any window
_GUNZIP_STEP_BYTES = 64 * 1024


def get(url: str, max_bytes: int, timeout_secs: float, ca_file: str | None) -> HttpResponse:
    """Ask for JSON at ``url``; redirects are answers, not followed; nothing is taken from the environment.

    ``timeout_secs`` bounds each wait, not their sum: a server that drips is cut off by the caller's own deadline.

    Raises:
        HttpError: there is no answer, or it broke off.
    """
    try:
        with _client(url, timeout_secs, ca_file) as client, client.stream("GET", url) as response:
            return HttpResponse(response.status_code, dict(response.headers), _read(response, max_bytes))
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError) as error:
        raise HttpError(Fault.BAD_ADDRESS, "no address that can be asked") from error
    except httpx.RemoteProtocolError as error:
        raise HttpError(Fault.NO_HTTP, f"does not speak proper HTTP: {error}") from error
    except httpx.TransportError as error:
        raise _no_answer(error) from error


def _client(url: str, timeout_secs: float, ca_file: str | None) -> httpx.Client:
    return httpx.Client(
        verify=_tls(url, ca_file),
        trust_env=False,
        follow_redirects=False,
        timeout=httpx.Timeout(timeout_secs, connect=timeout_secs * _CONNECT_SHARE),
        headers={"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "gzip"},
    )


def _tls(url: str, ca_file: str | None) -> ssl.SSLContext:
    if not url.lower().startswith("https:"):
        # Never used, as redirects are not followed; httpx would load 140 authorities for it (0.28: 30 ms, 2 MiB).
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one: the file is there but holds no certificate
        raise HttpError(Fault.BAD_CA_FILE, f"the authorities in {ca_file} cannot be read: {error.strerror}") from error


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
    """In steps, so that a bomb is noticed before it is in memory: httpx would unpack each piece whole, 1000 to 1."""
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
    if isinstance(_bottom(error), ssl.SSLCertVerificationError):
        return HttpError(Fault.UNTRUSTED, _why(error))
    return HttpError(Fault.UNREACHABLE, _why(error))


def _why(error: httpx.TransportError) -> str:
    """What happened at the bottom of a chain of wrapped errors, in a few words."""
    match _bottom(error):
        case ssl.SSLCertVerificationError() as refused:
            return f"its certificate is not accepted: {refused.verify_message}"
        case ssl.SSLError() as failed:
            return f"TLS failed: {failed.reason or failed}"
        case socket.gaierror() as unresolved:
            return f"its name does not resolve: {unresolved.strerror}"
        case TimeoutError():
            return "no answer in time"
        case OSError(strerror=str(text)):
            return text
        case bottom:
            return str(bottom)


def _bottom(error: BaseException) -> BaseException:
    while (below := error.__cause__ or error.__context__) is not None:  # httpcore 1.0 re-raises without "from"
        error = below
    return error
