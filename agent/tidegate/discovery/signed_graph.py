"""A graph that counts only as signed: fetched as a target of a repository of The Update Framework.

Who has the web server, and even its keys for TLS, can then withhold updates, for as long as the timestamp is valid and
no longer; he cannot offer what was not signed, nor anything older than what this host has seen.

Only the worker loads this module, and only where a root of trust is configured. Source: the specification of TUF, 1.0,
section 5 (https://theupdateframework.github.io/specification/latest/), which ``tuf.ngclient`` carries out (6 and 7).
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

METADATA = "metadata/"

LIMITS = UpdaterConfig(
    max_root_rotations=64,  # one a year is plenty, and each is a request
    max_delegations=0,  # who signs graphs is in the root, and nowhere else
    root_max_length=64 * 1024,
    timestamp_max_length=16 * 1024,
    snapshot_max_length=64 * 1024,
    targets_max_length=1024 * 1024,  # some thousand graphs
)

_CLOCK = "set the clock: timedatectl set-ntp true, and see timedatectl"
_NOT_SIGNED = "whoever publishes signs it: tidegate trust sign; if it was, the server is not to be trusted"
_EXPIRED = (
    "whoever publishes runs tidegate trust refresh; if that is done, somebody on the way holds back what is new; "
    "check this host's clock, too"
)
_OLDER = (
    "somebody may be replaying an old graph; if the repository was restored from a backup, run tidegate trust refresh "
    "until its versions are beyond those lost"
)
_MIXED = "it is asked again at the next check; if this stays, run tidegate trust sign, or do not trust the server"


def fetch(trust: Trust, fetcher: Fetcher, wall: datetime) -> bytes:
    """The graph that ``trust`` means, which is what was signed, now and not only once. ``wall`` is the time.

    Raises:
        TidegateError: ``discovery.untrusted``; ``config.invalid`` for a root of trust that is none;
            ``record.unwritable`` for its folder; and whatever ``fetcher`` raises.
    """
    if wall < BUILT_AFTER:  # else nothing would ever have expired
        what = f"this host's clock shows {rfc3339(wall)}, so that nobody can say whether what is signed has expired"
        raise TidegateError(ErrorKind.DISCOVERY_UNTRUSTED, what, _CLOCK)
    with _folder(trust.folder) as folder, _as_tidegate_errors(wall):
        updater = _updater(trust, fetcher, folder)
        updater.refresh()
        _settle(folder)
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
        message = f"{trust.root_file} is no root of trust: {_told(error)}"
        raise TidegateError(ErrorKind.CONFIG_INVALID, message, "copy root.json from where the keys are") from error


def _target(updater: Updater, name: str, kept: Path, max_bytes: int) -> bytes:
    target = updater.get_targetinfo(name)
    if target is None:
        raise _untrusted(f"the graph is not signed: there is no {name!r} in its repository's metadata", _NOT_SIGNED)
    if target.length > max_bytes:
        raise _untrusted(f"larger than {max_bytes} bytes, which is the most that an update graph may have", _NOT_SIGNED)
    if updater.find_cached_target(target, str(kept)) is None:
        updater.download_target(target, str(kept))
    return kept.read_bytes()


class _Files(FetcherInterface):
    """Tidegate's own way to get files, as TUF's updater wants it."""

    def __init__(self, fetcher: Fetcher, base: str) -> None:
        self._fetcher = fetcher
        self._base = base

    def _fetch(self, url: str) -> Iterator[bytes]:
        name = url.removeprefix(self._base)
        try:
            content = self._fetcher.fetch(url)
        except NotThereError as error:  # which is good news where it is the root after the one that is known
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
        content = Path(path).read_bytes()
    except OSError as error:
        message, remedy = f"the root of trust {path} cannot be read: {error.strerror}", "put it there, for all to read"
        raise TidegateError(ErrorKind.CONFIG_INVALID, message, remedy) from error
    if not content:  # for which python-tuf 6 would go on with the root that it has kept
        raise RepositoryError("it is empty")
    return content


@contextmanager
def _folder(path: str) -> Generator[Path]:
    """The folder, for this process alone."""
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


def _settle(folder: Path) -> None:
    """Bring to the disk what was trusted: after a power cut, nothing older may pass."""
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
    why = _told(error)
    match error:
        case DownloadError(__cause__=TidegateError() as cause):
            return cause
        case DownloadLengthMismatchError():
            return _untrusted(f"a file is longer than what was signed, or than it may be: {why}", _MIXED)
        case ExpiredMetadataError():
            return _untrusted(f"what is signed has expired: {why} (this host's clock shows {rfc3339(wall)})", _EXPIRED)
        case UnsignedMetadataError():
            return _untrusted(f"not signed by who this host trusts: {why}", _NOT_SIGNED)
        case BadVersionNumberError():
            return _untrusted(f"older than what this host has seen, or from different times: {why}", _OLDER)
        case LengthOrHashMismatchError():
            return _untrusted(f"a file is not what was signed: {why}", _MIXED)
        case _:
            return _untrusted(f"signed metadata that make no sense: {why}", _MIXED)


def _told(error: Exception) -> str:
    return excerpt(str(error).encode(errors="replace"))


def _untrusted(message: str, remedy: str) -> TidegateError:
    return TidegateError(ErrorKind.DISCOVERY_UNTRUSTED, message, remedy)


def _unwritable(error: OSError) -> TidegateError:
    message = f"what this host has trusted so far cannot be kept: {error.filename}: {error.strerror}"
    remedy = "give the folder to the user tidegate; without it an old graph could pass for a new one"
    return TidegateError(ErrorKind.RECORD_UNWRITABLE, message, remedy)
