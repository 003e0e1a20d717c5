"""Validate URLs from the configuration, and show them without their passwords."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, unquote, urlsplit

from tidegate.errors import ErrorKind, TidegateError
from tidegate.printable import without_password

_SCHEMES = ("http", "https", "file")
_ANYTHING_BEFORE_AT = re.compile(r"^([^/?#]*//).*@", re.DOTALL)


def masked(url: str) -> str:
    """``url`` without user and password, for messages and logs.

    Of a URL that cannot be parsed, everything before the last ``@`` is masked: a password with a slash in it, for one,
    makes the port invalid.
    """
    try:
        _ = urlsplit(url).port
    except ValueError:
        return _ANYTHING_BEFORE_AT.sub(r"\1***@", url)
    return without_password(url)


def checked(url: str) -> SplitResult:
    """Parse ``url``, which has to be http or https with a host, or file without one.

    Raises:
        TidegateError: ``config.invalid``; it is none of these. The message is meant to follow the masked URL.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:  # its text may quote the password
        raise _invalid("its host or port is invalid (in a password, write / as %2F)") from error
    if parts.scheme not in _SCHEMES:
        raise _invalid(f"its scheme is {parts.scheme!r}" if parts.scheme else "it has no scheme")
    if parts.scheme == "file":
        return _checked_file(parts)
    if not parts.hostname:
        raise _invalid("it has no host")
    return parts


def checked_base(url: str) -> SplitResult:
    """Parse ``url``, which has to be http or https, as a base for :func:`below`.

    Raises:
        TidegateError: ``config.invalid``, as of :func:`checked`.
    """
    parts = checked(url)
    if parts.scheme == "file":
        raise _invalid("a file is not a server")
    if "?" in url or "#" in url:
        raise _invalid("it has a query or a fragment, so that no path can be appended")
    return parts


def below(base: str, path: str) -> str:
    """Append ``path`` to ``base``, which keeps its own path whether or not it ends in a slash.

    RFC 3986 differs: there, the last segment of a base without a final slash is dropped.
    """
    return f"{base.rstrip('/')}/{path}"


def without_last_segment(url: str) -> str | None:
    """The base that Zincati makes of ``url``, as by RFC 3986; None where that is the same as with :func:`below`."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if parts.path.rpartition("/")[2] == "":
        return None
    return url.removesuffix(parts.path.rpartition("/")[2])


def file_path(parts: SplitResult) -> str:
    """The path of a file URL."""
    return unquote(parts.path, errors="surrogateescape")


def _checked_file(parts: SplitResult) -> SplitResult:
    if parts.netloc not in ("", "localhost"):
        raise _invalid(f"a file address has three slashes, this one names the host {parts.hostname!r}")
    if not parts.path.startswith("/") or "\0" in unquote(parts.path):
        raise _invalid("it has no absolute path")
    return parts


def _invalid(why: str) -> TidegateError:
    remedy = "write http://, https:// or file:/// and the whole address into the configuration"
    return TidegateError(ErrorKind.CONFIG_INVALID, f"not a valid address: {why}", remedy)
