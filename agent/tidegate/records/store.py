"""Load and save the records: one JSON file, replaced atomically."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Protocol

from tidegate.errors import ErrorKind, Failure, TidegateError
from tidegate.jsonread import ShapeError
from tidegate.records.codec import MAX_RECORDS_BYTES, decode, encode
from tidegate.records.model import Records
from tidegate.system import regular_file
from tidegate.system.atomicfile import write_durably

FILE_NAME = "records.json"
_MODE = 0o640


class Store(Protocol):
    """Where the records are kept."""

    def load(self) -> Records:
        """The records that were saved last; empty ones if none ever were."""
        ...

    def save(self, records: Records) -> None:
        """Replace the saved records; when this returns they survive a power cut."""
        ...


class SealedStore:
    """The store in place of a file that cannot be read: empty, and it never overwrites the file."""

    def __init__(self, failure: Failure) -> None:
        self._failure = failure

    def load(self) -> Records:
        """Empty records."""
        return Records()

    def save(self, records: Records) -> None:  # noqa: ARG002 - the protocol's signature
        """Refuse to save.

        Raises:
            TidegateError: always; it says why the file could not be read.
        """
        raise self._failure.error()


class FileStore:
    """``records.json`` in the agent's state directory (``/var/lib/tidegate``)."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME

    def load(self) -> Records:
        """Read the file.

        Raises:
            TidegateError: RECORD_UNREADABLE. The file is left as it is: without its deny list and its intent the
                agent must not stage or reboot, and only a person can decide to discard them. A link counts as
                unreadable: where its target is not mounted, the host would pass for a new one.
        """
        try:
            return decode(json.loads(regular_file.read_nofollow(self._path, MAX_RECORDS_BYTES)))
        except FileNotFoundError:
            return Records()
        except OSError as err:
            raise self._unreadable(err.strerror or str(err)) from err
        except (ShapeError, ValueError, RecursionError, OverflowError) as err:
            raise self._unreadable(str(err)) from err

    def save(self, records: Records) -> None:
        """Replace the file.

        Raises:
            TidegateError: RECORD_UNWRITABLE; the old file is still there.
        """
        content = json.dumps(encode(records), indent=1, ensure_ascii=False) + "\n"
        try:
            # Bytes that are not UTF-8, in the message of a tool, are lone surrogates; JSON's escapes represent them.
            write_durably(self._path, content.encode(errors="backslashreplace"), _MODE)
        except OSError as err:
            raise TidegateError(
                ErrorKind.RECORD_UNWRITABLE,
                f"{self._path}: {err.strerror or err}",
                f"make {self._path.parent} writable for the user tidegate and free some space on it",
            ) from err

    def _unreadable(self, why: str) -> TidegateError:
        return TidegateError(
            ErrorKind.RECORD_UNREADABLE,
            f"{self._path}: {why}",
            f"restore it from a backup; or move it away (mv {self._path} {self._path}.broken), which discards the "
            "deny list and any attempt under way, and restart tidegate.service",
        )
