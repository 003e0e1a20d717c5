"""``tidegate install``: install the wheel's units, policies, man pages and defaults where the system expects them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from tidegate.cli import exits, output

DATA = Path(sys.prefix) / "share" / "tidegate"
"""The wheel's data files (hatch ``shared-data``)."""

PLACES = {
    "tidegate.service": "usr/lib/systemd/system/tidegate.service",
    "tidegate-engine.service": "usr/lib/systemd/system/tidegate-engine.service",
    "tidegate-coordinator.service": "usr/lib/systemd/system/tidegate-coordinator.service",
    "tidegate.catalog": "usr/lib/systemd/catalog/tidegate.catalog",
    "tidegate-metrics.socket": "usr/lib/systemd/system/tidegate-metrics.socket",
    "tidegate-metrics.service": "usr/lib/systemd/system/tidegate-metrics.service",
    "tidegate-metrics-textfile.service": "usr/lib/systemd/system/tidegate-metrics-textfile.service",
    "tidegate-metrics-textfile.timer": "usr/lib/systemd/system/tidegate-metrics-textfile.timer",
    "tidegate-reboot-required.path": "usr/lib/systemd/system/tidegate-reboot-required.path",
    "tidegate-reboot-required.service": "usr/lib/systemd/system/tidegate-reboot-required.service",
    "tidegate-reboot-required.sh": "usr/lib/tidegate/reboot-required.sh",
    "tidegate-shutdown.service": "usr/lib/systemd/system/tidegate-shutdown.service",
    "tidegate-shutdown.sh": "usr/lib/tidegate/shutdown.sh",
    "tidegate.sysusers.conf": "usr/lib/sysusers.d/tidegate.conf",
    "tidegate.tmpfiles.conf": "usr/lib/tmpfiles.d/tidegate.conf",
    "org.tidegate.conf": "usr/share/dbus-1/system.d/org.tidegate.conf",
    "org.tidegate.Agent1.xml": "usr/share/dbus-1/interfaces/org.tidegate.Agent1.xml",
    "org.tidegate.Engine1.service": "usr/share/dbus-1/system-services/org.tidegate.Engine1.service",
    "50-tidegate.rules": "usr/share/polkit-1/rules.d/50-tidegate.rules",
    "org.tidegate.agent1.policy": "usr/share/polkit-1/actions/org.tidegate.agent1.policy",
}
COMPLETIONS = {
    "tidegate.bash": "usr/share/bash-completion/completions/tidegate",
    "tidegate.fish": "usr/share/fish/vendor_completions.d/tidegate.fish",
    "tidegate.zsh": "usr/share/zsh/vendor-completions/_tidegate",
}
MANUALS = "usr/share/man"
COMMAND = "usr/bin/tidegate"
CONFIG = "usr/lib/tidegate/config.d"

_STEPS = (
    ("systemd-sysusers", "tidegate.conf"),
    ("systemd-tmpfiles", "--create", "tidegate.conf"),
    ("systemctl", "daemon-reload"),
    ("systemctl", "reload", "dbus.service"),
    ("journalctl", "--update-catalog"),
)
"""Programs that apply the new files on a running system. Each may be missing or fail; a reboot has the same effect."""

_STEP_SECS = 30.0


@click.command()
@click.option(
    "--root",
    default="/",
    metavar="DIR",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Install into this tree (an image being built) instead of the running system.",
)
def install(root: Path) -> None:
    """Install units, policies, man pages and defaults of the wheel.

    Existing files are replaced; the configuration in /etc is left alone.
    """
    if not (DATA / "systemd").is_dir():
        exits.complain(
            f"there are no data files in {DATA}: Tidegate runs from a checkout, or was installed by a package",
            "in a checkout, install the wheel: pip install .",
        )
        raise SystemExit(exits.FAILED)
    try:
        for path in _install(root):
            output.line(path)
    except OSError as err:
        exits.complain(f"{err.filename}: {err.strerror}", _remedy(err))
        raise SystemExit(exits.FAILED) from err
    if root.resolve() == Path("/"):
        _apply()
        output.line("Next: systemctl enable --now tidegate.service")


def _install(root: Path) -> Iterator[Path]:
    """Install every file below ``root``; gives the paths as they are written."""
    for name, place in PLACES.items():
        yield _copy(DATA / "systemd" / name, root / place)
    for snippet in sorted((DATA / "config.d").glob("*.toml")):
        yield _copy(snippet, root / CONFIG / snippet.name)
    for completion in sorted((DATA / "completions").glob("tidegate.*")):
        yield _copy(completion, root / COMPLETIONS[completion.name])
    for page in sorted((DATA / "man").glob("man*/*")):
        yield _copy(page, root / MANUALS / page.parent.name / page.name)
    command = root / COMMAND
    if not command.exists() and not command.is_symlink():
        yield _link(command, root)


def _copy(source: Path, target: Path) -> Path:
    """Replace ``target`` by a rename, so that a daemon that reads it meanwhile never sees part of it."""
    _make_folder(target.parent)
    draft = target.with_name(f".{target.name}.new")
    shutil.copyfile(source, draft)
    draft.chmod(0o644)
    draft.replace(target)
    return target


def _make_folder(folder: Path) -> None:
    """Make ``folder`` and the missing ones above it, with mode 0755 under any umask: root's programs are in them."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(exist_ok=True)
        one.chmod(0o755)


def _link(command: Path, root: Path) -> Path:
    """Link ``/usr/bin/tidegate``, which the units start, to this wheel's script."""
    script = Path(sys.prefix) / "bin" / "tidegate"
    inside = Path("/") / script.relative_to(root) if script.is_relative_to(root) else script
    _make_folder(command.parent)
    command.symlink_to(inside)
    return command


def _apply() -> None:
    """Apply the new files on the running system."""
    for program, *arguments in _STEPS:
        path = shutil.which(program)
        if path is None:
            continue
        done = subprocess.run([path, *arguments], capture_output=True, text=True, timeout=_STEP_SECS, check=False)
        if done.returncode != 0:
            exits.complain(f"{program} failed: {done.stderr.strip()}", "reboot, which has the same effect")


def _remedy(error: OSError) -> str:
    if os.geteuid() != 0:
        return "run it as root"
    if error.errno is not None and os.strerror(error.errno) == "Read-only file system":
        return "/usr is part of this system's releases: install into them while they are built, with --root"
    return ""
