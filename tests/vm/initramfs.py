"""The initramfs of a release: Debian's tools, ``ostree-prepare-root``, and what else a release carries.

It is made from the base host's own tools in a second or two, so that one base serves every set of scripts.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.e2e.lab.cache import Cache, digest, digest_files
from tests.e2e.lab.debian import BaseHost
from tests.e2e.lab.depot import adopt_folders
from tests.e2e.lab.namespaces import MOUNTS_ONLY, Namespaces

OWN_SCRIPTS = Path(__file__).with_name("initramfs-tools")
MAKE_SECS = 300.0
KEPT = 4

# $1: base tree, $2: scratch folder that becomes the root, $3: configuration, $4: kernel version, $5: where it goes.
MAKE = """
tree=$1 root=$2 conf=$3 version=$4 out=$5
mount -t tmpfs -o mode=0755 tmpfs "$root"
for place in usr etc proc dev tmp var/tmp conf out; do mkdir -p "$root/$place"; done
for link in bin sbin lib lib64; do [ ! -e "$tree/$link" ] || ln -s "usr/$link" "$root/$link"; done
mount --bind "$tree/usr" "$root/usr"; mount -o remount,bind,ro "$root/usr"
mount --bind "$tree/usr/etc" "$root/etc"; mount -o remount,bind,ro "$root/etc"
mount --bind "$conf" "$root/conf"; mount --bind "$out" "$root/out"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mkdir "$root/boot"; echo CONFIG_RD_ZSTD=y > "$root/boot/config-$version"  # mkinitramfs asks; Debian's kernels have it
exec chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
    mkinitramfs -d /conf -o /out/initramfs.img "$version"
"""


def kernel_version(base: BaseHost) -> str:
    """The version of the one kernel of a base host."""
    (modules,) = (base.tree / "usr/lib/modules").iterdir()
    return modules.name


def initramfs_layer(cache: Cache, base: BaseHost, scripts: Sequence[Path] = ()) -> Path:
    """The folder that lays an initramfs over ``base``.

    ``scripts`` are folders like /etc/initramfs-tools (``hooks``, ``scripts/local-bottom`` ...), which go into it beside
    the bed's own.

    Raises:
        LabError: mkinitramfs failed; its last words are in the message.
    """
    folders = (OWN_SCRIPTS, *scripts)
    runs = [str(path) for folder in folders for path in sorted(folder.rglob("*")) if os.access(path, os.X_OK)]
    key = digest(base.key, *(digest_files(folder) for folder in folders), *runs, Path(__file__).read_bytes())
    return cache.entry(f"initramfs-{base.suite}", key, lambda into: _build(base, folders, into), keep=KEPT)


def _build(base: BaseHost, folders: Sequence[Path], into: Path) -> None:
    version = kernel_version(base)
    out = into / "usr/lib/modules" / version
    out.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch, Namespaces.open(MOUNTS_ONLY) as namespaces:
        root, conf = Path(scratch) / "root", Path(scratch) / "conf"
        root.mkdir()
        for folder in folders:
            shutil.copytree(folder, conf, dirs_exist_ok=True)
        namespaces.must(["sh", "-ec", MAKE, "sh", base.tree, root, conf, version, out], timeout_secs=MAKE_SECS)
    adopt_folders(base.tree, into)
