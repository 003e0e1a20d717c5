"""Tidegate on a host: what lies over the base, made by the host's own Python from wheels and kept by their contents."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from tests.e2e.lab.cache import Cache, digest
from tests.e2e.lab.debian import COMPILE, BaseHost
from tests.e2e.lab.depot import adopt_folders
from tests.e2e.lab.layout import link_unit
from tests.e2e.lab.namespaces import MOUNTS_ONLY, Namespaces
from tests.e2e.lab.process import must
from tests.e2e.lab.wheels import PROJECT, Wheelhouse

VENV = "/usr/lib/tidegate"
UNIT = "tidegate.service"
INSTALL_SECS = 180.0
KEPT_LAYERS = 8
ACCOUNT_FILES = ("passwd", "group", "shadow", "gshadow")

# A root made of the base's /usr, read-only since its files are the cache's, and of the places that we write to.
# $1: base tree, $2: layer, $3: scratch folder that is the root; the wheel folders follow.
ENTER_BASE = """
tree=$1 layer=$2 root=$3; shift 3
mount -t tmpfs -o mode=0755 tmpfs "$root"
for place in usr etc proc dev dev/shm tmp layer; do mkdir "$root/$place"; done
for link in bin sbin lib lib64; do [ ! -e "$tree/$link" ] || ln -s "usr/$link" "$root/$link"; done
mount --bind "$tree/usr" "$root/usr"; mount -o remount,bind,ro "$root/usr"
mount --bind "$tree/usr/etc" "$root/etc"; mount -o remount,bind,ro "$root/etc"
mount --bind "$layer/usr/lib/tidegate" "$root/usr/lib/tidegate"
mount --bind "$layer" "$root/layer"
mount -t proc proc "$root/proc"
for node in null urandom; do : > "$root/dev/$node"; mount --bind "/dev/$node" "$root/dev/$node"; done
count=0
for wheels; do count=$((count+1)); mkdir -p "$root/wheels/$count"; mount --bind "$wheels" "$root/wheels/$count"; done
"""

# In the base: a virtual environment without a pip of its own, filled by the pip that Debian keeps for ensurepip.
MAKE_VENV = f"""
python3 -m venv --without-pip {VENV}
links=$(for folder in /wheels/*; do echo "--find-links=$folder"; done)
pip=$(echo /usr/share/python-wheels/pip-*.whl)/pip
{VENV}/bin/python "$pip" --isolated install \
    --quiet --no-cache-dir --no-compile --no-index --disable-pip-version-check $links "$1"
{COMPILE} {VENV}
"""


def agent_layer(cache: Cache, base: BaseHost, wheels: Wheelhouse) -> Path:
    """The folder that is laid over ``base`` to have the agent on it, enabled; made anew when the wheels have changed.

    Raises:
        LabError: the wheels are not all there, or do not install; pip's last words are in the message.
    """
    key = digest(base.key, wheels.key, Path(__file__).read_bytes())
    return cache.entry(f"layer-{base.suite}", key, lambda into: _build(cache, base, wheels, into), keep=KEPT_LAYERS)


def _build(cache: Cache, base: BaseHost, wheels: Wheelhouse, into: Path) -> None:
    cache.say(f"installing {PROJECT} for Debian {base.suite}")
    (into / VENV.lstrip("/")).mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch, Namespaces.open(MOUNTS_ONLY) as namespaces:
        namespaces.must(["sh", "-ec", ENTER_BASE, "sh", base.tree, into, scratch, *wheels.folders])
        _fill(namespaces, Path(scratch))
    _finish(base, into)


def _fill(namespaces: Namespaces, root: Path) -> None:
    in_base: list[str | Path] = ["chroot", root, "/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin", "LANG=C.UTF-8"]
    namespaces.must([*in_base, "sh", "-ec", MAKE_VENV, "sh", PROJECT], timeout_secs=INSTALL_SECS)
    command = f"{VENV}/bin/{PROJECT}"
    if namespaces.run([*in_base, command, "install", "--help"]).ok:
        namespaces.must([*in_base, command, "install", "--root", "/layer"])


def _finish(base: BaseHost, layer: Path) -> None:
    """What installing the package does after unpacking: the command on the PATH, accounts, the unit enabled."""
    command = layer / "usr/bin" / PROJECT
    if not command.is_symlink():
        command.parent.mkdir(exist_ok=True)
        command.symlink_to(f"{VENV}/bin/{PROJECT}")
    if (layer / "etc").exists():
        (layer / "etc").rename(layer / "usr/etc")
    _make_accounts(base, layer)
    _check_at_once(layer)
    if (layer / "usr/lib/systemd/system" / UNIT).exists():
        link_unit(layer / "usr/etc", UNIT)
    adopt_folders(base.tree, layer)


def _check_at_once(layer: Path) -> None:
    """Let hosts check for a release as soon as they are up: no fleet has to be spread. Older agents do so anyway."""
    settings = next(layer.rglob("site-packages/tidegate/settings.py"), None)
    if settings is None or "start_delay_secs" not in settings.read_text(encoding="utf-8"):
        return
    snippet = layer / "usr/lib/tidegate/config.d/05-lab.toml"
    snippet.write_text("[agent.timing]\nstart_delay_secs = 0\n", encoding="utf-8")
    snippet.chmod(0o644)


def _make_accounts(base: BaseHost, layer: Path) -> None:
    """Make the users of the layer's sysusers.d part of the release: systemd would make them at a first boot only."""
    wanted = layer / "usr/lib/sysusers.d"
    if not wanted.is_dir():
        return
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        shutil.copytree(wanted, root / "usr/lib/sysusers.d")
        (root / "etc").mkdir()
        for name in ACCOUNT_FILES:
            _copy_file(base.tree / "usr/etc" / name, root / "etc" / name)
        must(["systemd-sysusers", f"--root={root}"])
        (layer / "usr/etc").mkdir(exist_ok=True)
        for name in ACCOUNT_FILES:
            _copy_file(root / "etc" / name, layer / "usr/etc" / name)


def _copy_file(source: Path, to: Path) -> None:
    shutil.copy2(source, to)
    shutil.chown(to, source.stat().st_uid, source.stat().st_gid)
