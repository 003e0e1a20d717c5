"""Whether a release fits: the arithmetic, and the parsing of sizes."""

from __future__ import annotations

import pytest

from tidegate.engines.ostree import space
from tidegate.engines.ostree.space import Disk, KernelFile, Reserve
from tidegate.errors import ErrorKind

MB = 1_000_000
# 2022.7; the no-break space is GLib's.
SIZES = (
    "Compressed size (needed/total): 121.9\u00a0kB/122.0\u00a0kB\n"
    "Unpacked size (needed/total): 19.8\u00a0MB/1.2\u00a0GB\nNumber of objects (needed/total): 17/20\n"
)
DRY_RUN = "Delta update: 0/1 parts, 0\u00a0bytes/2.3\u00a0MB, 19.8\u00a0MB total uncompressed\n"
CSUM = "6e7cae8e88cfcf370fecd9a970debaf7892c20a34de4c933532a00918a0c9f09"
MODULES = f"""\
d00755 0 0      0 {CSUM} {CSUM} /usr/lib/modules/6.1.0-demo
-00644 0 0   4096 {CSUM} /usr/lib/modules/6.1.0-demo/initramfs.img
-00644 0 0 999999 {CSUM} /usr/lib/modules/6.1.0-demo/modules.dep
-00644 0 0   8192 {CSUM} /usr/lib/modules/6.1.0-demo/vmlinuz
"""


def test_needed_bytes_are_read_with_room_for_rounding() -> None:
    assert space.parse_commit_sizes(SIZES) == round(19.8 * MB * 1.03)
    assert space.parse_delta_sizes(DRY_RUN) == round(19.8 * MB * 1.03)


@pytest.mark.parametrize("text", ["", "error: No metadata key ostree.sizes in commit", "Unpacked size: lots"])
def test_unknown_sizes_are_none(text: str) -> None:
    assert space.parse_commit_sizes(text) is None
    assert space.parse_delta_sizes(text) is None


@pytest.mark.parametrize(
    ("percent", "size", "reserve"),
    [
        ("", "", Reserve(3)),
        ("0", "", Reserve(0)),
        ("7", "100MB", Reserve(7, 100 << 20)),
        ("", "2GB", Reserve(3, 2 << 30)),
        ("nonsense", "nonsense", Reserve(3)),
    ],
)
def test_the_reserve_is_read_as_ostree_reads_it(percent: str, size: str, reserve: Reserve) -> None:
    assert space.parse_reserve(percent, size) == reserve


def test_a_fixed_reserve_wins_over_the_percentage() -> None:
    disk = Disk(1000 * MB, 500 * MB)
    assert Reserve(3).of(disk) == 30 * MB
    assert Reserve(3, 5 * MB).of(disk) == 5 * MB


@pytest.mark.parametrize(("needed_mb", "fits"), [(470, True), (471, False)])
def test_the_reserve_is_not_for_the_release(needed_mb: int, *, fits: bool) -> None:
    refusal = space.repository_verdict(needed_mb * MB, Disk(1000 * MB, 500 * MB), Reserve(3))
    assert (refusal is None) is fits


def test_a_refusal_has_the_numbers() -> None:
    refusal = space.repository_verdict(471 * MB, Disk(1000 * MB, 500 * MB), Reserve(3))
    assert refusal is not None
    assert refusal.kind is ErrorKind.ENGINE_NO_SPACE
    assert refusal.message == (
        "the release needs 471.0 MB; 500.0 MB are free, of which ostree keeps 30.0 MB in reserve"
    )


def test_what_can_be_reclaimed_on_boot_counts() -> None:
    disk = Disk(100 * MB, 40 * MB)
    assert space.boot_verdict(60 * MB, disk, 0) is not None
    assert space.boot_verdict(60 * MB, disk, 30 * MB) is None


def test_kernel_files_are_found_among_modules() -> None:
    assert space.parse_kernel_files(MODULES) == (
        KernelFile("initramfs.img", 4096, CSUM),
        KernelFile("vmlinuz", 8192, CSUM),
    )


def test_folders_are_found_below_their_parent() -> None:
    listing = f"d00755 0 0 0 {CSUM} {CSUM} /usr/lib/modules\nd00755 0 0 0 {CSUM} {CSUM} /usr/lib/modules/6.1.0-demo\n"
    assert space.parse_folders(listing, "/usr/lib/modules") == ("/usr/lib/modules/6.1.0-demo",)


@pytest.mark.parametrize(
    ("size_bytes", "text"), [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (2_286_625, "2.3 MB")]
)
def test_sizes_for_people(size_bytes: int, text: str) -> None:
    assert space.human(size_bytes) == text
