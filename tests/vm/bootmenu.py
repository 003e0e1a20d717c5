"""/boot as a boot loader reads it: straight from the disk, no journal replayed.

GRUB, extlinux and U-Boot read ext4 without its journal; debugfs does so as well. Entries are those of the Boot Loader
Specification, which libostree writes for every boot loader.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.lab.process import LabError, run
from tests.e2e.lab.sysroot import entry_fields

KERNEL_ARGUMENT = "ostree="


@dataclass(frozen=True, slots=True)
class FileSystem:
    """An ext4 file system in an image, read as it lies there."""

    image: Path
    offset_bytes: int = 0

    def ask(self, request: str) -> str:
        """The answer of debugfs to one request; empty where it has nothing to say."""
        return run(["debugfs", "-n", "-R", request, f"{self.image}?offset={self.offset_bytes}"]).out

    def link(self, path: str) -> str | None:
        """The target of a symbolic link, or None where there is none."""
        about = self.ask(f"stat {path}")
        if "Type: symlink" not in about:
            return None
        short = re.search(r'Fast link dest: "(.*?)"', about)  # from 60 bytes on, a target takes a block
        return self.ask(f"cat {path}") if short is None else short[1]

    def exists(self, path: str) -> bool:
        """Whether there is such a file or folder."""
        return "Inode:" in self.ask(f"stat {path}")

    def names(self, folder: str) -> list[str]:
        """The names in a folder."""
        return sorted(set(re.findall(r"^/\d+/\d+/\d+/\d+/([^/]+)/", self.ask(f"ls -p {folder}"), re.MULTILINE)))

    def dump(self, path: str, to: Path) -> bool:
        """Copy a file out of it; false where there is none, or an empty one."""
        to.unlink(missing_ok=True)
        self.ask(f"dump {path} {to}")
        return to.is_file() and to.stat().st_size > 0


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the boot menu. ``rank`` is its version: the default has the highest."""

    rank: int
    title: str
    kernel: str
    initramfs: str
    options: str

    @property
    def root(self) -> str:
        """The path of the deployment that it names, on the root file system."""
        return next(o for o in self.options.split() if o.startswith(KERNEL_ARGUMENT)).removeprefix(KERNEL_ARGUMENT)

    @property
    def boot_version(self) -> str:
        """The N of its ``/ostree/boot.N``."""
        return self.root.split("/")[2].removeprefix("boot.")


Menu = tuple[Entry, ...]
"""The default first; empty when a boot loader finds nothing to boot."""

Choice = Callable[[Menu], Entry]


def default_entry(menu: Menu) -> Entry:
    """What a boot loader starts when nobody touches it."""
    return menu[0]


def fallback_entry(menu: Menu) -> Entry:
    """The entry below the default."""
    return menu[1]


def read_menu(boot: FileSystem) -> Menu:
    """The menu on a /boot, as ``/loader`` leads to it."""
    target = boot.link("/loader")
    if target is None:
        return ()
    folder = f"/{target}/entries"
    texts = [boot.ask(f"cat {folder}/{name}") for name in boot.names(folder) if name.endswith(".conf")]
    return tuple(sorted(filter(None, map(_entry, texts)), key=lambda entry: entry.rank, reverse=True))


def _entry(text: str) -> Entry | None:
    """An entry, or None for one that is torn: a boot loader skips it."""
    fields = entry_fields(text)
    if not fields.keys() >= {"version", "linux", "initrd", "options"} or KERNEL_ARGUMENT not in fields["options"]:
        return None
    kernel, initramfs = (fields[key].removeprefix("/boot") for key in ("linux", "initrd"))
    return Entry(int(fields["version"]), fields.get("title", ""), kernel, initramfs, fields["options"])


def deployment_of(root: FileSystem, entry: Entry) -> str | None:
    """The path of the deployment that an entry leads to, or None where it is gone; links are followed as
    ostree-prepare-root does."""
    _, ostree, version, *rest = entry.root.split("/")
    folder = root.link(f"/{ostree}/{version}")
    if folder is None:
        return None
    parts = ["", ostree, folder, *rest]
    target = root.link("/".join(parts))
    if target is None:
        return None
    path = "/".join([*parts[:-1], target])
    return path if root.exists(path) else None


@dataclass(frozen=True, slots=True)
class Loaded:
    """The files that a boot loader loaded."""

    entry: Entry
    kernel: Path
    initramfs: Path


def load(boot: FileSystem, entry: Entry, into: Path) -> Loaded:
    """Load kernel and initramfs of an entry.

    Raises:
        LabError: one of them is not there.
    """
    loaded = Loaded(entry, into / "vmlinuz", into / "initramfs")
    for path, to in ((entry.kernel, loaded.kernel), (entry.initramfs, loaded.initramfs)):
        if not boot.dump(path, to):
            raise LabError(f"the boot loader does not find {path}")
    return loaded
