"""Write the boot order: which deployments have an entry in the boot loader's menu, and which one is the default.

A boot loader reads the disk as it is and replays no journal. ostree before 2025.2 leaves the switch of the menu in the
journal and then deletes what the menu before needs (ostreedev/ostree#3392): after a power cut in the next half minute
the host does not boot any more. So the order is written through libostree without its clean-up, the file system of
/boot is flushed, and then libostree cleans up. From 2025.2 on, ostree's own commands are as safe.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tidegate.engines.ostree.cli import OstreeCli
from tidegate.engines.ostree.errors import classify
from tidegate.engines.ostree.status import Listed
from tidegate.errors import ErrorKind, TidegateError

FLUSHES_ITSELF = (2025, 2)
"""The first version of ostree that writes the switch to where a boot loader finds it."""

FLUSH = (
    "trap '' INT TERM;"  # between freezing and thawing
    ' if [ "$(stat -fc %T "$0")" = xfs ]; then fsfreeze -f "$0" && fsfreeze -u "$0"; else sync -f "$0"; fi'
)
"""Shell text that writes the metadata of the file system of ``$0`` to its place. On XFS only a freeze does that."""

# GObject bindings exist for the distribution's own Python only, which need not be the one that runs Tidegate.
SYSTEM_PYTHON = "/usr/bin/python3"
WRITE_ORDER_SCRIPT = Path(__file__).with_name("write_order_gi.py")
_NO_BINDINGS = 3


async def make_default(cli: OstreeCli, entries: Sequence[Listed], first: Listed) -> None:
    """Put ``first`` in front of the boot order; ``entries`` is the present one.

    Nothing may be staged: every version of ostree drops a staged deployment when the order is written.

    Raises:
        TidegateError: an ``engine.*`` error of ostree.
    """
    doing = f"making {first.version} the default of the boot loader"
    wanted = [first, *(entry for entry in entries if entry != first)]
    if not await _flushes_itself(cli) and await _write_through_libostree(cli, wanted, doing):
        return
    await cli.admin("set-default", str(first.index), doing=doing)
    await _flush(cli, doing)


async def delete(cli: OstreeCli, entries: Sequence[Listed], victims: Sequence[Listed]) -> None:
    """Delete ``victims`` from ``entries``, the present boot order; what is staged stays so.

    Raises:
        TidegateError: an ``engine.*`` error of ostree.
    """
    if not victims:
        return
    kept = [entry for entry in entries if entry not in victims]
    doing = f"deleting {', '.join(entry.version for entry in victims)}"
    if not await _flushes_itself(cli) and await _write_through_libostree(cli, kept, doing):
        return
    for victim in sorted(victims, key=lambda entry: entry.index, reverse=True):
        await cli.admin("undeploy", str(victim.index), doing=doing)
    await _flush(cli, doing)


async def _flushes_itself(cli: OstreeCli) -> bool:
    return await cli.version() >= FLUSHES_ITSELF


async def _write_through_libostree(cli: OstreeCli, wanted: Sequence[Listed], doing: str) -> bool:
    """Write the order; False where the bindings are missing, and nothing was changed."""
    names = tuple(entry.deployment_name for entry in wanted)
    script = (SYSTEM_PYTHON, "-I", str(WRITE_ORDER_SCRIPT), str(cli.sysroot), FLUSH, *names)
    # In a mount namespace of its own libostree can write to a read-only /sysroot.
    done = await cli.run(("unshare", "--mount", *script), cli.limits.change_secs)
    if done.returncode == _NO_BINDINGS and await cli.offers("set-default", "admin"):
        return False
    if done.returncode != 0:
        raise classify(_last_line(done.stderr), doing)
    return True


async def _flush(cli: OstreeCli, doing: str) -> None:
    """Write what the boot loader reads to its place: the window of an older ostree without bindings ends here."""
    done = await cli.run(("/bin/sh", "-c", FLUSH, str(cli.sysroot / "boot")), cli.limits.change_secs)
    if done.returncode != 0:
        raise TidegateError(
            ErrorKind.ENGINE_FAILED,
            f"{doing}: it is written, and /boot could not be flushed: {_last_line(done.stderr)}",
            "check the disk; it is tried again",
        )


def _last_line(stderr: str) -> str:
    return stderr.strip().rsplit("\n", 1)[-1]
