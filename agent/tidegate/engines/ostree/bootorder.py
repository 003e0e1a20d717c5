"""Make a deployment the boot loader's default: with ``ostree admin set-default``, or libostree on old versions."""

from __future__ import annotations

from pathlib import Path

from tidegate.engines.ostree.cli import OstreeCli
from tidegate.engines.ostree.errors import classify
from tidegate.engines.ostree.status import Listed

# GObject bindings exist for the distribution's own Python only, which need not be the one that runs Tidegate.
SYSTEM_PYTHON = "/usr/bin/python3"
SET_DEFAULT_SCRIPT = Path(__file__).with_name("set_default_gi.py")


async def make_default(cli: OstreeCli, entry: Listed) -> None:
    """Put ``entry`` first in the boot order; ``entry.index`` must be current.

    Nothing may be staged: every version of ostree drops a staged deployment when the order is written.

    Raises:
        TidegateError: an ``engine.*`` error of ostree.
    """
    doing = f"making {entry.version} the default of the boot loader"
    if await cli.offers("set-default", "admin"):
        await cli.admin("set-default", str(entry.index), doing=doing)
    else:
        await _through_bindings(cli, entry, doing)


async def _through_bindings(cli: OstreeCli, entry: Listed, doing: str) -> None:
    # set-default came with 2023.6. In a mount namespace of its own libostree can write to a read-only /sysroot.
    argv = (
        "unshare",
        "--mount",
        SYSTEM_PYTHON,
        "-I",
        str(SET_DEFAULT_SCRIPT),
        str(cli.sysroot),
        entry.checksum,
        str(entry.serial),
    )
    done = await cli.run(argv, cli.limits.change_secs)
    if done.returncode != 0:
        raise classify(_last_line(done.stderr), doing)


def _last_line(stderr: str) -> str:
    return stderr.strip().rsplit("\n", 1)[-1]
