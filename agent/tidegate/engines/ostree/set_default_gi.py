# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (GObject introspection has no types, and its modules exist for the system's Python only.)
"""A script for the system's Python: put a deployment first in the boot order.

Never imported by Tidegate. Arguments: sysroot, checksum, serial. It runs in a mount namespace of its own.
"""

import sys

import gi  # type: ignore[import-not-found]  # see above

gi.require_version("OSTree", "1.0")
from gi.repository import Gio, OSTree  # type: ignore[import-not-found]  # noqa: E402 - the version comes first


def main(path: str, checksum: str, serial: int) -> None:
    """Write the list of deployments with the named one first, and the others in their order."""
    sysroot = OSTree.Sysroot.new(Gio.File.new_for_path(path))
    sysroot.set_mount_namespace_in_use()
    sysroot.lock()
    sysroot.load(None)
    deployments = [entry for entry in sysroot.get_deployments() if not entry.is_staged()]
    first = [d for d in deployments if (d.get_csum(), d.get_deployserial()) == (checksum, serial)]
    if not first:
        sys.exit(f"error: there is no deployment {checksum}.{serial}")
    sysroot.write_deployments(first + [entry for entry in deployments if entry not in first], None)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
