"""Fetch a signed graph: a target of a repository of The Update Framework (TUF).

An attacker who controls the web server, and even its TLS keys, can then withhold updates until the timestamp expires,
but cannot offer an unsigned graph, nor one older than this host has seen.

Only the worker loads this module, and only where a root of trust is configured. Source: the specification of TUF, 1.0,
section 5 (https://theupdateframework.github.io/specification/latest/), which ``tuf.ngclient`` (6 and 7) implements.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    RepositoryError,
    UnsignedMetadataError,
)
from tuf.ngclient.config import UpdaterConfig
from tuf.ngclient.fetcher import FetcherInterface
from tuf.ngclient.updater import Updater

from tidegate.clock import BUILT_AFTER, rfc3339
from tidegate.discovery.fetching import Fetcher, NotThereError
from tidegate.discovery.wire import Trust
from tidegate.errors import ErrorKind, TidegateError
from tidegate.net.answers import excerpt
from tidegate.system import regular_file

METADATA = "metadata/"

LIMITS = UpdaterConfig(
    max_root_rotations=64,  # each is a request; one rotation a year is frequent
    max_delegations=0,  # only keys in the root sign graphs
    root_max_length=64 * 1024,
    timestamp_max_length=16 * 1024,
    snapshot_max_length=64 * 1024,
    targets_max_length=1024 * 1024,  # some thousand graphs
)

_CLOCK = "set the clock: timedatectl set-ntp true, and see timedatectl"
_NOT_SIGNED = "the publisher has to sign it (tidegate trust sign); if that was done, do not trust the server"
_EXPIRED = (
    "the publisher has to run tidegate trust refresh; if that was done, somebody on the network path withholds "
    "updates; check this host's clock, too"
)
_OLDER = (
    "somebody may be replaying an old graph; if the repository was restored from a backup, run tidegate trust refresh "
    "until its versions are beyond those lost"
)
_MIXED = "the agent retries at the next check; if it persists, run tidegate trust sign, or do not trust the server"


def fetch(trust: Trust, fetcher: Fetcher, wall: datetime) -> bytes:
    """The graph of ``trust``, with signatures that are valid and not expired. ``wall`` is the current time.

    Raises:
        TidegateError: ``discovery.untrusted``; ``config.invalid`` for an invalid root of trust;
            ``record.unwritable`` for its folder; and the errors of ``fetcher``.
    """
    if wall < BUILT_AFTER:  # with such a clock, expired metadata would pass
        what = f"this host's clock shows {rfc3339(wall)}, so that the expiry of signatures cannot be checked"
        raise TidegateError(ErrorKind.DISCOVERY_UNTRUSTED, what, _CLOCK)
    with _folder(trust.folder) as folder, _as_tidegate_errors(wall):
        updater = _updater(trust, fetcher, folder)
        updater.refresh()
        _sync(folder)
        return _target(updater, trust.target, folder / "graph", fetcher.max_bytes)


def _updater(trust: Trust, fetcher: Fetcher, folder: Path) -> Updater:
    base = trust.repository_url
    try:
        return Updater(
            str(folder),
            f"{base}{METADATA}",
            None,
            base,
            _Files(fetcher, base),
            LIMITS,
            bootstrap=_root(trust.root_file),
        )
    except RepositoryError as error:
        message = f"{trust.root_file} is not a root of trust: {_text(error)}"
        raise TidegateError(ErrorKind.CONFIG_INVALID, message, "copy root.json from where the keys are") from error


def _target(updater: Updater, name: str, cache: Path, max_bytes: int) -> bytes:
    target = updater.get_targetinfo(name)
    if target is None:
        raise _untrusted(f"the graph is not signed: there is no {name!r} in its repository's metadata", _NOT_SIGNED)
    if target.length > max_bytes:
        raise _untrusted(f"larger than {max_bytes} bytes, the limit for an update graph", _NOT_SIGNED)
    if updater.find_cached_target(target, str(cache)) is None:
        updater.download_target(target, str(cache))
    return regular_file.read_nofollow(cache, max_bytes)


class _Files(FetcherInterface):
    """:class:`Fetcher` behind the interface of TUF's updater."""

    def __init__(self, fetcher: Fetcher, base: str) -> None:
        self._fetcher = fetcher
        self._base = base

    def _fetch(self, url: str) -> Iterator[bytes]:
        name = url.removeprefix(self._base)
        try:
            content = self._fetcher.fetch(url)
        except NotThereError as error:  # how the updater finds out that there is no newer root
            raise DownloadHTTPError(name, 404) from _named(error, name, _NOT_SIGNED)
        except TidegateError as error:
            raise DownloadError(name) from _named(error, name, error.remedy)
        if len(content) > self._fetcher.max_bytes:
            raise DownloadLengthMismatchError(f"{name} has more than {self._fetcher.max_bytes} bytes")
        return iter((content,))


def _named(error: TidegateError, name: str, remedy: str) -> TidegateError:
    return TidegateError(error.kind, f"{name}: {error.message}", remedy, error.retry_after_secs)


def _root(path: str) -> bytes:
    try:
        content = regular_file.read(path, LIMITS.root_max_length)
    except OSError as error:
        message, remedy = f"the root of trust {path} cannot be read: {error.strerror}", "put it there, readable for all"
        raise TidegateError(ErrorKind.CONFIG_INVALID, message, remedy) from error
    if not content:  # python-tuf 6 would silently use its cached root
        raise RepositoryError("it is empty")
    return content


@contextmanager
def _folder(path: str) -> Generator[Path]:
    """Create the folder, and lock it for this process."""
    folder = Path(path)
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _unwritable(error) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(handle)


def _sync(folder: Path) -> None:
    """Fsync the trusted metadata: after a power cut, older ones must not be accepted."""
    for path in (*folder.glob("*.json"), *folder.glob("root_history/*.json"), folder / "root_history", folder):
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def _as_tidegate_errors(wall: datetime) -> Generator[None]:
    try:
        yield
    except (DownloadError, RepositoryError) as error:
        raise _refusal(error, wall) from error
    except OSError as error:
        raise _unwritable(error) from error


def _refusal(error: DownloadError | RepositoryError, wall: datetime) -> TidegateError:
    why = _text(error)
    match error:
        case DownloadError(__cause__=TidegateError() as cause):
            return cause
        case DownloadLengthMismatchError():
            return _untrusted(f"a file is longer than signed, or than the limit: {why}", _MIXED)
        case ExpiredMetadataError():
            return _untrusted(
                f"signed metadata have expired: {why} (this host's clock shows {rfc3339(wall)})", _EXPIRED
            )
        case UnsignedMetadataError():
            return _untrusted(f"not signed by a key that this host trusts: {why}", _NOT_SIGNED)
        case BadVersionNumberError():
            return _untrusted(f"older than what this host has seen, or of mixed versions: {why}", _OLDER)
        case LengthOrHashMismatchError():
            return _untrusted(f"a file is not the signed one: {why}", _MIXED)
        case _:
            return _untrusted(f"signed metadata are invalid: {why}", _MIXED)


def _text(error: Exception) -> str:
    return excerpt(str(error).encode(errors="replace"))


def _untrusted(message: str, remedy: str) -> TidegateError:
    return TidegateError(ErrorKind.DISCOVERY_UNTRUSTED, message, remedy)


def _unwritable(error: OSError) -> TidegateError:
    message = f"the trusted metadata cannot be saved: {error.filename}: {error.strerror}"
    remedy = "give the folder to the user tidegate; without it, a rollback attack could not be detected"
    return TidegateError(ErrorKind.RECORD_UNWRITABLE, message, remedy)
