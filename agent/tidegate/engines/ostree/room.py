"""Check whether a release fits on the disk: read the sizes, and let :mod:`.space` judge them."""

from __future__ import annotations

from pathlib import Path

from tidegate.engines.ostree import space
from tidegate.engines.ostree.cli import OstreeCli
from tidegate.engines.ostree.source import Source
from tidegate.engines.ostree.survey import Survey
from tidegate.errors import ErrorKind, TidegateError

MODULES = "/usr/lib/modules"
KERNELS = "ostree"  # in /boot: one folder STATEROOT-BOOTCSUM for each kernel that a boot entry uses


async def check_repository(cli: OstreeCli, source: Source, checksum: str) -> None:
    """Check that the objects which the commit still needs fit into the repository. Its metadata must be there.

    Where the server publishes neither sizes nor a delta, the need is unknown; then ostree's own reserve applies.

    Raises:
        TidegateError: ``engine.no-space`` with the numbers.
    """
    needed_bytes = await _needed_bytes(cli, source, checksum)
    if needed_bytes is None:
        return
    reserve = space.parse_reserve(
        await _setting(cli, "core.min-free-space-percent"), await _setting(cli, "core.min-free-space-size")
    )
    if refusal := space.repository_verdict(needed_bytes, space.read_disk(cli.repo_path), reserve):
        raise refusal


async def check_boot(cli: OstreeCli, boot: Path, survey: Survey, checksum: str) -> None:
    """Check that kernel and initramfs of the commit fit into /boot. The commit must be in the repository.

    Raises:
        TidegateError: ``engine.no-space`` with the numbers.
    """
    wanted = await _kernel_files(cli, checksum)
    for entry in survey.entries:
        if await _kernel_files(cli, entry.checksum) == wanted:
            return  # the same kernel is in /boot already, and is shared
    needed_bytes = sum(file.size_bytes for file in wanted)
    reclaimable_bytes = space.tree_bytes(await _reclaimable(cli, boot, survey))
    if refusal := space.boot_verdict(needed_bytes, space.read_disk(boot), reclaimable_bytes):
        raise refusal


async def _needed_bytes(cli: OstreeCli, source: Source, checksum: str) -> int | None:
    known = await _commit_bytes(cli, checksum)
    return known if known is not None else await _delta_bytes(cli, source, checksum)


async def _commit_bytes(cli: OstreeCli, checksum: str) -> int | None:
    try:
        sizes = await cli.repo("show", "--print-sizes", checksum, doing="reading the commit's sizes")
    except TidegateError:  # made without --generate-sizes
        return None
    return space.parse_commit_sizes(sizes)


async def _delta_bytes(cli: OstreeCli, source: Source, checksum: str) -> int | None:
    options = ("--dry-run", "--require-static-deltas", source.remote, f"{source.ref}@{checksum}")
    try:
        announced = await cli.repo("pull", *options, doing="asking for the delta's size")
    except TidegateError as error:
        if error.kind is ErrorKind.ENGINE_NO_SPACE:  # ostree checks the size of a delta itself, with numbers
            raise
        return None  # no delta from the booted release; any other error will come from the pull itself
    return space.parse_delta_sizes(announced)


async def _setting(cli: OstreeCli, key: str) -> str:
    try:
        return (await cli.repo("config", "get", key, doing=f"reading {key}")).strip()
    except TidegateError:  # it is not set
        return ""


async def _kernel_files(cli: OstreeCli, checksum: str) -> frozenset[space.KernelFile]:
    folders = space.parse_folders(await _list(cli, checksum, MODULES), MODULES)
    listings = [await _list(cli, checksum, folder) for folder in folders]
    return frozenset(file for listing in listings for file in space.parse_kernel_files(listing))


async def _list(cli: OstreeCli, checksum: str, path: str) -> str:
    try:
        return await cli.repo("ls", "--checksum", checksum, path, doing=f"listing {path} of {checksum}")
    except TidegateError:  # an OS without that folder keeps its kernel elsewhere, and is not judged
        return ""


async def _reclaimable(cli: OstreeCli, boot: Path, survey: Survey) -> list[Path]:
    """The kernels that ostree itself deletes when /boot is full (2023.3 and newer; set-default, 2023.6, implies it)."""
    if not await cli.offers("set-default", "admin"):
        return []
    unused = {entry.deployment_name for entry in survey.unused}
    links = [link for link in cli.sysroot.glob("ostree/boot.[01]/*/*/*") if link.is_symlink()]
    users = {link.parent: set[str]() for link in links}
    for link in links:
        users[link.parent].add(link.resolve().name)
    freed = {f"{folder.parent.name}-{folder.name}" for folder, names in users.items() if names <= unused}
    return [boot / KERNELS / name for name in sorted(freed)]
