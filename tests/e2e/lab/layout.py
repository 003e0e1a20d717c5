"""From a plain Debian root to what OSTree deploys: all below /usr, /etc as defaults in there, an empty /var."""

from __future__ import annotations

import shutil
from pathlib import Path

KERNEL_VERSION = "0.0.0-lab"

# What an OSTree host keeps in /var: link in the root -> folder, its mode.
MOVED_TO_VAR = {
    "home": ("var/home", 0o755),
    "mnt": ("var/mnt", 0o755),
    "opt": ("var/opt", 0o755),
    "root": ("var/roothome", 0o700),
    "srv": ("var/srv", 0o755),
    "usr/local": ("../var/usrlocal", 0o755),
}
EMPTY_FOLDERS = {"boot": 0o755, "dev": 0o755, "proc": 0o555, "run": 0o755, "sys": 0o555, "sysroot": 0o755}

# What packages keep in /var and a booted host makes again or does not miss (package databases belong to the build).
NOT_REMADE_IN_VAR = ("backups", "cache", "lib/apt", "lib/dpkg", "lib/systemd", "local", "log", "mail", "opt", "tmp")

# Of no use here: they ask mirrors and read package databases that are not there.
UNWANTED_UNITS = ("apt-daily", "dpkg-db-backup", "e2scrub")

# In a container the generator that would pull these in sees the kernel command line of the machine below.
WANTED_UNITS = ("ostree-finalize-staged.path", "ostree-boot-complete.service")

JOURNAL = "[Journal]\nStorage=persistent\nRateLimitIntervalSec=0\n"


def to_ostree_layout(root: Path) -> None:
    """Convert the Debian root ``root`` in place."""
    _write(root / "usr/lib/tmpfiles.d/lab-var.conf", "\n".join(_var_folders(root)) + "\n")
    _silence_tmpfiles(root / "usr/lib/tmpfiles.d")
    _place_kernel(root)
    _settle_units(root)
    _forget_identity(root)
    _move_folders(root)
    (root / "usr/lib/tidegate").mkdir()  # the mount point for the virtual environment while it is made
    _write(root / "usr/lib/systemd/journald.conf.d/lab.conf", JOURNAL)
    (root / "etc").rename(root / "usr/etc")


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(0o644)


def _var_folders(root: Path) -> list[str]:
    """tmpfiles.d lines that make the folders of /var again, with the owners that packages gave them."""
    moved = [f"d /var/{Path(to).name} {mode:04o} 0 0 -" for to, mode in MOVED_TO_VAR.values()]
    return [*moved, "d /run/media 0755 0 0 -", *(_as_tmpfile(root, d) for d in _kept_var(root / "var"))]


def _kept_var(var: Path) -> list[Path]:
    folders = sorted(d for d in var.rglob("*") if d.is_dir() and not d.is_symlink())
    dropped = [var / name for name in NOT_REMADE_IN_VAR]
    return [d for d in folders if not any(d.is_relative_to(gone) for gone in dropped)]


def _as_tmpfile(root: Path, folder: Path) -> str:
    seen = folder.stat()
    return f"d /{folder.relative_to(root)} {seen.st_mode & 0o7777:04o} {seen.st_uid} {seen.st_gid} -"


def _silence_tmpfiles(folder: Path) -> None:
    """Drop what other packages say about folders that are links here; systemd would complain at every boot."""
    links = [[f"/{name}"] for name in MOVED_TO_VAR]
    for file in folder.glob("*.conf"):
        lines = file.read_text().splitlines(keepends=True)
        file.write_text("".join(line for line in lines if line.split()[1:2] not in links))


def _place_kernel(root: Path) -> None:
    """Put a kernel where ostree looks for it: the one that is installed, or a stand-in.

    A container boots on the kernel of the machine below; ostree only has to find something to put into /boot.
    """
    kernels = [*(root / "boot").glob("vmlinuz-*")]
    for kernel in kernels:
        version = kernel.name.removeprefix("vmlinuz-")
        shutil.copy2(kernel, root / f"usr/lib/modules/{version}/vmlinuz")
        for link in (*root.glob("vmlinuz*"), *root.glob("initrd.img*")):
            link.unlink()
    for name in () if kernels else ("vmlinuz", "initramfs.img"):
        _write(root / f"usr/lib/modules/{KERNEL_VERSION}" / name, f"stand-in for {name}\n")


def _settle_units(root: Path) -> None:
    units = root / "etc/systemd/system"
    for link in [link for name in UNWANTED_UNITS for link in units.glob(f"*.wants/{name}*")]:
        link.unlink()
    for unit in WANTED_UNITS:
        link_unit(root / "etc", unit)
    (units / "console-getty.service").symlink_to("/dev/null")  # nobody sits at the console


def link_unit(etc: Path, unit: str, target: str = "multi-user.target") -> None:
    """Enable a unit of /usr/lib/systemd/system for ``target``, as systemctl enable would."""
    wants = etc / f"systemd/system/{target}.wants"
    wants.mkdir(parents=True, exist_ok=True)
    (wants / unit).unlink(missing_ok=True)
    (wants / unit).symlink_to(f"/usr/lib/systemd/system/{unit}")


def _forget_identity(root: Path) -> None:
    """No name, no id, no resolver of the machine that built it: each host gets its own."""
    for name in ("hostname", "resolv.conf"):
        (root / "etc" / name).unlink(missing_ok=True)
    (root / "etc/machine-id").write_text("")
    (root / "var/lib/dbus/machine-id").unlink(missing_ok=True)


def _move_folders(root: Path) -> None:
    for name in ("var", "tmp", "media", *MOVED_TO_VAR, *EMPTY_FOLDERS):
        if (root / name).exists():
            shutil.rmtree(root / name)
    for name, mode in {**EMPTY_FOLDERS, "var": 0o755, "tmp": 0o1777}.items():
        (root / name).mkdir()
        (root / name).chmod(mode)
    for name, (to, _) in MOVED_TO_VAR.items():
        (root / name).symlink_to(to)
    (root / "media").symlink_to("run/media")
    (root / "ostree").symlink_to("sysroot/ostree")
