"""Read a file that somebody else may have put there: a regular one only, without blocking, up to a limit.

A FIFO would block its reader until somebody writes to it, a device may act on being read, and a link leads where its
owner wants. Cheap to import: ``tidegate status`` reads its snapshot through this module.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Generator
from contextlib import contextmanager

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_CHUNK_BYTES = 1024 * 1024

_TYPES = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISREG, "a plain file"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)

AnyPath = str | os.PathLike[str]


class NotRegularError(OSError):
    """Something else than a regular file has the name of one; ``strerror`` says what."""

    def __init__(self, path: AnyPath, mode: int) -> None:
        super().__init__(errno.EINVAL, f"it is {type_of(mode)}, not a plain file", os.fspath(path))
        self.mode = mode


class TooLargeError(OSError):
    """The file is larger than its reader accepts."""

    def __init__(self, path: AnyPath, max_bytes: int) -> None:
        super().__init__(errno.EFBIG, f"it has more than {max_bytes} bytes", os.fspath(path))


class ExposedError(OSError):
    """A file with a secret can be read or written by everybody."""

    def __init__(self, path: AnyPath, mode: int) -> None:
        why = f"every user can read it (mode {stat.S_IMODE(mode):04o}); chmod o= it"
        super().__init__(errno.EPERM, why, os.fspath(path))


def type_of(mode: int) -> str:
    """Return the type of a file as a noun with its article; ``mode`` is its ``st_mode``."""
    return next((words for matches, words in _TYPES if matches(mode)), "something else")


def read(path: AnyPath, max_bytes: int) -> bytes:
    """Return the content of a file that root or an operator has named; links are followed.

    Raises:
        NotRegularError: it is not a regular file.
        TooLargeError: it has more than ``max_bytes``.
        OSError: it cannot be read.
    """
    with opened(path) as handle:
        return content(handle, path, max_bytes)


def read_nofollow(path: AnyPath, max_bytes: int) -> bytes:
    """Return the content of a file that one program writes and another reads, in which a link has no place.

    Links among the folders of ``path`` are followed.

    Raises:
        NotRegularError: it is not a regular file, but a link, for example.
        TooLargeError: it has more than ``max_bytes``.
        OSError: it cannot be read.
    """
    try:
        with opened(path, os.O_NOFOLLOW) as handle:
            return content(handle, path, max_bytes)
    except OSError as err:
        if err.errno != errno.ELOOP:
            raise
        raise NotRegularError(path, stat.S_IFLNK) from None


def read_secret(path: AnyPath, max_bytes: int) -> bytes:
    """Return the content of a file with a token or a password, which others than its owner and group must not read.

    Raises:
        ExposedError: others may.
        NotRegularError: it is not a regular file.
        TooLargeError: it has more than ``max_bytes``.
        OSError: it cannot be read.
    """
    with opened(path) as handle:
        mode = os.fstat(handle).st_mode
        if mode & stat.S_IRWXO:
            raise ExposedError(path, mode)
        return content(handle, path, max_bytes)


def read_start(path: AnyPath, max_bytes: int) -> bytes:
    """Return at most the first ``max_bytes`` of a regular file, however long it is; links are followed.

    Raises:
        NotRegularError: it is not a regular file.
        OSError: it cannot be read.
    """
    with opened(path) as handle:
        return _up_to(handle, max_bytes)


@contextmanager
def opened(path: AnyPath, flags: int = 0) -> Generator[int]:
    """Give a descriptor of the regular file ``path``, opened for reading, with further ``flags`` of open(2).

    Raises:
        NotRegularError: it is not a regular file.
        OSError: it cannot be opened.
    """
    try:
        handle = os.open(path, _FLAGS | flags)
    except OSError as err:
        if err.errno == errno.ENXIO:  # what Linux answers to opening a socket
            raise NotRegularError(path, stat.S_IFSOCK) from None
        raise
    try:
        mode = os.fstat(handle).st_mode
        if not stat.S_ISREG(mode):
            raise NotRegularError(path, mode)
        yield handle
    finally:
        os.close(handle)


def content(handle: int, path: AnyPath, max_bytes: int) -> bytes:
    """Return the content of an open file, whose name is ``path``.

    Raises:
        TooLargeError: it has more than ``max_bytes``.
        OSError: it cannot be read.
    """
    found = _up_to(handle, max_bytes + 1)
    if len(found) > max_bytes:
        raise TooLargeError(path, max_bytes)
    return found


def _up_to(handle: int, max_bytes: int) -> bytes:
    found = bytearray()
    while len(found) < max_bytes:
        chunk = os.read(handle, min(_CHUNK_BYTES, max_bytes - len(found)))
        if not chunk:
            break
        found += chunk
    return bytes(found)
