"""Who this host is, to servers and to itself.

The machine id is confidential (machine-id(5)): what leaves the host, or is derived for a purpose, is a hash of it that
only Tidegate makes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.errors import ErrorKind, TidegateError

if TYPE_CHECKING:
    from tidegate.config.settings import Identity

MACHINE_ID_FILE = Path("/etc/machine-id")

# Chosen at random once; another one would give every host another id.
APP_ID = bytes.fromhex("bcb43cb0fab80c8a690dbb53e891b1d4")


def app_specific_id(machine_id: bytes, app_id: bytes = APP_ID) -> bytes:
    """What ``sd_id128_get_machine_app_specific()`` derives from the 16 bytes of a machine id, for a 16-byte app id."""
    import hmac  # noqa: PLC0415 - OpenSSL's 4 MiB are not for hosts that never ask

    digest = bytearray(hmac.digest(machine_id, app_id, "sha256")[:16])
    digest[6] = digest[6] & 0x0F | 0x40  # a UUID of version 4 ...
    digest[8] = digest[8] & 0x3F | 0x80  # ... and the usual variant
    return bytes(digest)


def read_machine_id(path: Path = MACHINE_ID_FILE) -> bytes:
    """The 16 bytes of the machine id.

    Raises:
        TidegateError: there is none, as on a host that has not finished its first boot.
    """
    remedy = "run `systemd-machine-id-setup`, or set identity.node_uuid"
    try:
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise TidegateError(ErrorKind.IDENTITY_UNKNOWN, f"{path} cannot be read: {error}", remedy) from error
    if len(text) != 32 or text.strip("0123456789abcdefABCDEF") or not text.strip("0"):
        raise TidegateError(ErrorKind.IDENTITY_UNKNOWN, f"{path} holds no machine id", remedy)
    return bytes.fromhex(text)


def host_id(identity: Identity, machine_id_file: Path = MACHINE_ID_FILE) -> str:
    """The host's id, 32 hexadecimal digits: ``identity.node_uuid``, or one that is derived from the machine id.

    Raises:
        TidegateError: neither is there.
    """
    if identity.node_uuid is not None:
        return identity.node_uuid.replace("-", "").lower()
    return app_specific_id(read_machine_id(machine_id_file)).hex()
