"""``tidegate install`` and ``uninstall``: put the units, policies, man pages and defaults of a wheel in place."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click

from tidegate.cli import exits, output
from tidegate.cli.install_places import (
    COMMAND,
    COMPLETIONS,
    CONFIG,
    EXAMPLES,
    MANUALS,
    PLACES,
    SITE_FOLDERS,
)
from tidegate.system.installation import is_packaged

DATA = Path(sys.prefix) / "share" / "tidegate"
"""The wheel's data files (hatch ``shared-data``)."""

_STEPS = (
    ("systemd-sysusers", "tidegate.conf"),
    ("systemd-tmpfiles", "--create", "tidegate.conf"),
    ("systemctl", "daemon-reload"),
    ("systemctl", "reload", "dbus.service"),
    ("journalctl", "--update-catalog"),
)
"""Programs that apply the new files on a running system. Each may be missing or fail; a reboot has the same effect."""

_STEPS_AFTER_REMOVAL = _STEPS[2:]

_STEP_SECS = 30.0
_STOP_SECS = 120.0
"""Longer than systemd gives a service to stop (90 s)."""

_BOOTED = Path("/run/systemd/system")

F = TypeVar("F", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class Placement:
    """A file of the wheel, and the place where it belongs."""

    source: Path
    target: Path


def _root_option(what: str) -> Callable[[F], F]:
    return click.option(
        "--root",
        default="/",
        metavar="DIR",
        type=click.Path(path_type=Path, exists=True, file_okay=False),
        help=f"{what} this tree (an image being built) instead of the running system.",
    )


_dry_run_option = click.option("--dry-run", is_flag=True, help="Print the files, and change nothing.")


@click.command()
@_root_option("Install into")
@_dry_run_option
def install(root: Path, *, dry_run: bool) -> None:
    """Install units, policies, man pages and defaults of the wheel.

    Existing files are replaced; the configuration in /etc is left alone.
    """
    placements = _placements(root)
    if not dry_run:
        with _errors_told():
            _install(placements, root)
        if _is_running(root):
            _apply(_STEPS)
    # Last, so that a reader that closes the pipe cannot interrupt anything.
    _print([one.target for one in placements] + _extra_places(root), dry_run=dry_run)
    if _is_running(root) and not dry_run:
        output.line("Next: systemctl enable --now tidegate.service")


@click.command()
@_root_option("Remove from")
@_dry_run_option
def uninstall(root: Path, *, dry_run: bool) -> None:
    """Stop and disable the units, and remove what tidegate install has installed.

    The configuration in /etc/tidegate, the records in /var/lib/tidegate, and the wheel itself are left alone.
    """
    found = [path for path in _installed(root) if path.exists() or path.is_symlink()]
    if not dry_run:
        _disable(root)
        with _errors_told():
            _remove(found, root)
        if _is_running(root):
            _apply(_STEPS_AFTER_REMOVAL)
    _print(found, dry_run=dry_run)
    if not found:
        output.line("Nothing is installed.")
    elif not dry_run:
        output.line(f"Kept: /etc/tidegate, /var/lib/tidegate, and the wheel in {sys.prefix}")


def _placements(root: Path) -> list[Placement]:
    """All files of the wheel. Without a wheel, print why and exit with 1."""
    if not (DATA / "systemd").is_dir():
        exits.complain(f"there are no data files in {DATA}: {_why_not()}", _instead())
        raise SystemExit(exits.FAILED)
    return [Placement(source, root / place) for source, place in _files()]


def _files() -> Iterator[tuple[Path, str]]:
    for name, place in PLACES.items():
        yield DATA / "systemd" / name, place
    for snippet in sorted((DATA / "config.d").glob("*.toml")):
        yield snippet, f"{CONFIG}/{snippet.name}"
    for completion in sorted((DATA / "completions").glob("tidegate.*")):
        yield completion, COMPLETIONS[completion.name]
    for page in sorted((DATA / "man").glob("man*/*")):
        yield page, f"{MANUALS}/{page.parent.name}/{page.name}"
    examples = DATA / "examples"
    for example in sorted(path for path in examples.rglob("*") if path.is_file()):
        yield example, f"{EXAMPLES}/{example.relative_to(examples)}"


def _why_not() -> str:
    return "a package has installed Tidegate" if is_packaged() else "Tidegate runs from a checkout"


def _instead() -> str:
    if is_packaged():
        return "leave it to the package manager: apt-get install tidegate, or apt-get remove tidegate"
    return "install the wheel into an environment of its own, as README.md shows"


def _install(placements: list[Placement], root: Path) -> None:
    for one in placements:
        _copy(one.source, one.target)
    for folder in SITE_FOLDERS:
        _make_folder(root / folder)
    command = root / COMMAND
    if not command.exists() and not command.is_symlink():
        _link(command, root)


def _extra_places(root: Path) -> list[Path]:
    """What is installed and not a file of the wheel."""
    return [*(root / folder for folder in SITE_FOLDERS), *([root / COMMAND] if _is_own_link(root) else [])]


def _installed(root: Path) -> list[Path]:
    return [*(one.target for one in _placements(root)), *([root / COMMAND] if _is_own_link(root) else [])]


def _is_own_link(root: Path) -> bool:
    """Whether the command is a link to this wheel, or would be: one that a package has installed is not."""
    command = root / COMMAND
    return not os.path.lexists(command) or (command.is_symlink() and command.readlink() == _script(root))


def _copy(source: Path, target: Path) -> None:
    """Replace ``target`` by a rename, so that a daemon that reads it meanwhile never sees part of it."""
    _make_folder(target.parent)
    draft = target.with_name(f".{target.name}.new")
    shutil.copyfile(source, draft)
    draft.chmod(0o644)
    draft.replace(target)


def _make_folder(folder: Path) -> None:
    """Make ``folder`` and the missing ones above it, with mode 0755 under any umask: root's programs are in them."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(exist_ok=True)
        one.chmod(0o755)


def _link(command: Path, root: Path) -> None:
    """Link ``/usr/bin/tidegate``, which the units start, to this wheel's script."""
    _make_folder(command.parent)
    command.symlink_to(_script(root))


def _script(root: Path) -> Path:
    """The script of this wheel, as the system in ``root`` will see it."""
    script = Path(sys.prefix) / "bin" / "tidegate"
    return Path("/") / script.relative_to(root) if script.is_relative_to(root) else script


def _disable(root: Path) -> None:
    """Stop the units and disable them; in an image, only the latter."""
    systemctl = shutil.which("systemctl")
    units = [name for name in PLACES if name.endswith((".path", ".service", ".socket", ".timer"))]
    units = [name for name in units if (root / PLACES[name]).exists() and "/systemd/" in PLACES[name]]
    if systemctl is None or not units:
        return
    where = ("--now",) if _is_running(root) else (f"--root={root}",)
    _run(systemctl, "--quiet", "disable", *where, *units, timeout_secs=_STOP_SECS)


def _remove(paths: list[Path], root: Path) -> None:
    """Remove the files, what services have written that is of no use without them, and folders that are empty now."""
    if _is_running(root):
        _clear_reboot_required(root)
        shutil.rmtree(root / "run/tidegate/public", ignore_errors=True)
        shutil.rmtree(root / "var/lib/tidegate-shutdown", ignore_errors=True)
        for name in ("run/motd.d/60-tidegate", "boot/tidegate-loader"):
            (root / name).unlink(missing_ok=True)
    for path in paths:
        path.unlink(missing_ok=True)
    for folder in (*(path.parent for path in paths), *(root / folder for folder in SITE_FOLDERS)):
        _remove_empty(folder, root)


def _remove_empty(folder: Path, root: Path) -> None:
    """Remove ``folder``, and those above it in a folder ``tidegate``, as far as nothing is in them."""
    with suppress(OSError):  # not empty, or not there
        while "tidegate" in folder.relative_to(root).parts:
            folder.rmdir()
            folder = folder.parent


def _clear_reboot_required(root: Path) -> None:
    """Let the script that sets /run/reboot-required take it back, while it is there."""
    script = root / PLACES["tidegate-reboot-required.sh"]
    (root / "run/tidegate/public/reboot-required").unlink(missing_ok=True)
    if script.exists():
        _run("/bin/sh", str(script), timeout_secs=_STEP_SECS)


def _apply(steps: tuple[tuple[str, ...], ...]) -> None:
    """Apply the change of files on the running system."""
    for program, *arguments in steps:
        path = shutil.which(program)
        if path is not None:
            _run(path, *arguments, timeout_secs=_STEP_SECS)


def _run(program: str, *arguments: str, timeout_secs: float) -> None:
    """Run a program; print what it says if it fails."""
    name = Path(program).name
    try:
        done = subprocess.run(
            [program, *arguments], capture_output=True, text=True, timeout=timeout_secs, check=False, errors="replace"
        )
    except subprocess.TimeoutExpired:
        exits.complain(f"{name} did not end within {timeout_secs:g} s", "reboot, which has the same effect")
        return
    if done.returncode != 0:
        exits.complain(f"{name} failed: {done.stderr.strip()}", "reboot, which has the same effect")


def _print(paths: list[Path], *, dry_run: bool) -> None:
    for path in paths:
        output.line(path)
    if dry_run:
        output.line("Nothing was changed (--dry-run).", err=True)


def _is_running(root: Path) -> bool:
    """Whether ``root`` is a system that systemd has booted (sd_booted(3)), and not an image from within."""
    return root.resolve() == Path("/") and _BOOTED.is_dir()


@contextmanager
def _errors_told() -> Generator[None]:
    try:
        yield
    except OSError as err:
        exits.complain(f"{err.filename}: {err.strerror}", _remedy(err))
        raise SystemExit(exits.FAILED) from err


def _remedy(error: OSError) -> str:
    if os.geteuid() != 0:
        return "run it as root"
    if error.errno == errno.EROFS:
        return "/usr is part of this system's releases: install into them while they are built, with --root"
    return ""
