"""Make a deployment the boot loader's default: ``ostree admin set-default``, or libostree itself on old ones."""

from __future__ import annotations

from pathlib import Path

from tidegate.engines.ostree.cli import OstreeCli
from tidegate.engines.ostree.errors import classify
from tidegate.engines.ostree.status import Listed

# GObject bindings exist for the distribution's own Python alone, whichever Python runs Tidegate.
SYSTEM_PYTHON = "/usr/bin/python3"
ONE_SHOT = Path(__file__).with_name("set_default_gi.py")


async def make_default(cli: OstreeCli, entry: Listed) -> None:
    """Put ``entry`` first in the boot order; ``entry.index`` must be fresh.

    Nothing may be staged: every version drops a staged deployment when the order is written.
    """
    doing = f"making {entry.version} the default of the boot loader"
    if await cli.offers("set-default", "admin"):
        await cli.admin("set-default", str(entry.index), doing=doing)
    else:
        await _through_bindings(cli, entry, doing)


async def _through_bindings(cli: OstreeCli, entry: Listed, doing: str) -> None:
    # 2022.7 has no set-default (2023.6). A mount namespace of its own lets libostree write to a read-only /sysroot.
    argv = (
        "unshare",
        "--mount",
        SYSTEM_PYTHON,
        "-I",
        str(ONE_SHOT),
        str(cli.sysroot),
        entry.checksum,
        str(entry.serial),
    )
    done = await cli.run(argv, cli.limits.change_secs)
    if done.returncode != 0:
        raise classify(_last_line(done.stderr), doing)


def _last_line(stderr: str) -> str:
    return stderr.strip().rsplit("\n", 1)[-1]
