"""Addresses as an operator writes them: taken apart with checks, shown without their passwords."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, unquote, urlsplit

from tidegate.errors import ErrorKind, TidegateError
from tidegate.printable import without_password

_SCHEMES = ("http", "https", "file")
_ANYTHING_BEFORE_AT = re.compile(r"^([^/?#]*//).*@", re.DOTALL)


def masked(url: str) -> str:
    """``url`` without user and password, for messages and logs.

    An address that cannot be taken apart may hold its password anywhere before an ``@`` (one with a slash in it makes
    the port unreadable), so there all of that goes.
    """
    try:
        _ = urlsplit(url).port
    except ValueError:
        return _ANYTHING_BEFORE_AT.sub(r"\1***@", url)
    return without_password(url)


def checked(url: str) -> SplitResult:
    """The parts of ``url``, which is http or https with a host, or file without one.

    Raises:
        TidegateError: ``config.invalid``; it is none of these. The message follows the masked address and a colon.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:  # its text may quote the password
        raise _invalid("its host or port makes no sense (in a password, write / as %2F)") from error
    if parts.scheme not in _SCHEMES:
        raise _invalid(f"its scheme is {parts.scheme!r}" if parts.scheme else "it has no scheme")
    if parts.scheme == "file":
        return _checked_file(parts)
    if not parts.hostname:
        raise _invalid("it names no host")
    return parts


def checked_base(url: str) -> SplitResult:
    """The parts of ``url``, which is http or https and below which there may be paths: see :func:`below`.

    Raises:
        TidegateError: ``config.invalid``, as of :func:`checked`.
    """
    parts = checked(url)
    if parts.scheme == "file":
        raise _invalid("a file cannot be asked for a lock")
    if "?" in url or "#" in url:
        raise _invalid("it has a query or a fragment, below which there are no paths")
    return parts


def below(base: str, path: str) -> str:
    """The address of ``path`` below ``base``, which keeps its own path and may end in a slash or not.

    Other than in RFC 3986, where the last part of a base without a slash at its end is lost.
    """
    return f"{base.rstrip('/')}/{path}"


def file_path(parts: SplitResult) -> str:
    """The path that a file address means."""
    return unquote(parts.path, errors="surrogateescape")


def _checked_file(parts: SplitResult) -> SplitResult:
    if parts.netloc not in ("", "localhost"):
        raise _invalid(f"a file address has three slashes, this one names the host {parts.hostname!r}")
    if not parts.path.startswith("/") or "\0" in unquote(parts.path):
        raise _invalid("it names no absolute path")
    return parts


def _invalid(why: str) -> TidegateError:
    remedy = "write http://, https:// or file:/// and the whole address into the configuration"
    return TidegateError(ErrorKind.CONFIG_INVALID, f"no address that can be asked: {why}", remedy)
