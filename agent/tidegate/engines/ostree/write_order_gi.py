# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false, reportAttributeAccessIssue=false
# (GObject introspection has no types, and its modules exist for the system's Python only.)
"""A script for the system's Python: write the boot order so that no power cut leaves a host without a bootable entry.

Never imported by Tidegate. Arguments: sysroot, the shell text that flushes the file system of ``/boot`` (its ``$0`` is
that folder), then the deployments to keep as ``CHECKSUM.SERIAL``, the boot loader's default first; one that is staged
stays so. It runs in a mount namespace of its own. The exit status is 3 where the bindings are missing, and nothing was
changed.

libostree cleans up as soon as it has written, and so removes what the menu before the switch needs, while a boot
loader, which replays no journal, may still read that menu. Here the disk comes in between.
"""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

NO_BINDINGS = 3

try:
    import gi  # type: ignore[import-not-found]  # see above

    gi.require_version("OSTree", "1.0")
    from gi.repository import Gio, OSTree  # type: ignore[import-not-found]  # the version comes first
except (ImportError, ValueError) as err:
    sys.stderr.write(f"error: {err}\n")
    sys.exit(NO_BINDINGS)


def main(path: str, flush: str, *wanted: str) -> None:
    """Write the wanted deployments, flush ``/boot``, and then let libostree delete what nothing refers to any more."""
    sysroot = OSTree.Sysroot.new(Gio.File.new_for_path(path))
    sysroot.set_mount_namespace_in_use()
    sysroot.lock()
    sysroot.load(None)
    staged = [d for d in sysroot.get_deployments() if d.is_staged()]
    present = {f"{d.get_csum()}.{d.get_deployserial()}": d for d in sysroot.get_deployments() if not d.is_staged()}
    missing = [name for name in wanted if name not in present]
    if missing or not wanted:
        sys.exit(f"error: there is no deployment {', '.join(missing) or 'to keep'}")
    boot = Path(path) / "boot"
    keep_link(boot)
    options = OSTree.SysrootWriteDeploymentsOpts()
    options.do_postclean = False
    sysroot.write_deployments_with_options(staged + [present[name] for name in wanted], options, None)
    if subprocess.run(["/bin/sh", "-c", flush, str(boot)], check=False).returncode != 0:
        sys.exit("error: the boot order is written, and /boot could not be flushed")  # so nothing is deleted
    keep_link(boot)
    sysroot.cleanup(None)


def keep_link(boot: Path) -> None:
    """Give the link between the two menus a second name. ext4 clears a link that has lost its last one, and where that
    reaches the disk before the new link does, a boot loader finds no menu at all."""
    kept = boot / "tidegate-loader"
    with suppress(OSError):  # vfat has no links; or there is no menu yet
        kept.unlink(missing_ok=True)
        os.link(boot / "loader", kept, follow_symlinks=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
