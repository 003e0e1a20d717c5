"""The Unix socket for operators on the coordinator's host; its file mode is the permission.

The kernel identifies the peer, so that no token is needed and the audit log has the user's id.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tidegate.errors import ErrorKind, TidegateError

RUNTIME_FOLDER = Path("/run/tidegate-coordinator")
FILE = "operator.sock"

OWNER_ONLY_UMASK = 0o177
"""Makes the socket's mode 0600 from its creation on: root and the coordinator's user may connect."""

_BACKLOG = 64
_CONNECT_SECS = 1.0
_CREDENTIALS = struct.Struct("3i")  # struct ucred of unix(7): pid, uid, gid


def default_path(environment: Mapping[str, str] = os.environ) -> Path:
    """The socket's path: in the service's runtime folder; for users other than root in their own runtime folder."""
    service_folder = environment.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    if service_folder:
        return Path(service_folder) / FILE
    user_folder = environment.get("XDG_RUNTIME_DIR", "")
    folder = RUNTIME_FOLDER if os.geteuid() == 0 or not user_folder else Path(user_folder) / RUNTIME_FOLDER.name
    return folder / FILE


def open_operator_socket(path: Path) -> socket.socket:
    """A listening socket at ``path``; a stale one of an earlier process is replaced.

    Its folder is made if it is missing: systemd makes it for the service, and nobody does for a coordinator that is
    started by hand.

    Raises:
        TidegateError: ``coordinator.cannot-listen``: another coordinator serves it, or it cannot be created.
    """
    if _is_served(path):
        raise _cannot(path, "another coordinator serves it")
    own = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(OWNER_ONLY_UMASK)
    try:
        _make_folder(path.parent)
        with suppress(FileNotFoundError):
            path.unlink()
        own.bind(str(path))
        own.listen(_BACKLOG)
    except OSError as error:
        own.close()
        raise _cannot(path, error.strerror or str(error)) from None
    finally:
        os.umask(before)
    return own


def _make_folder(folder: Path) -> None:
    """Make ``folder`` as systemd's RuntimeDirectory= does, whatever the umask. The one above it has to exist."""
    if not folder.exists():
        folder.mkdir()
        folder.chmod(0o755)


def peer_uid(connection: socket.socket) -> int:
    """The user id of the connection's peer."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    uid: int = _CREDENTIALS.unpack(credentials)[1]
    return uid


def _is_served(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_CONNECT_SECS)
        try:
            probe.connect(str(path))
        except TimeoutError:  # its backlog is full, so another process listens
            return True
        except OSError:
            return False
    return True


def _cannot(path: Path, why: str) -> TidegateError:
    remedy = "set coordinator.admin.socket to another path, in a folder that the coordinator's user can write"
    return TidegateError(ErrorKind.COORDINATOR_CANNOT_LISTEN, f"cannot serve operators at {path}: {why}", remedy)
