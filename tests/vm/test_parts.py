"""The parts of the bed that need no machine: logs of writes, disks, boot menus, and the judgement of a host."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.e2e.lab.process import LabError, must
from tests.vm.bootmenu import FileSystem, deployment_of, read_menu
from tests.vm.classify import Finding, Instant, Verdict, is_whole, windows
from tests.vm.cuts import Cut, Result, faults, window_faults
from tests.vm.stories import FALL_BACK, ROLLBACK, UPDATE
from tests.vm.writelog import FLUSH, HEADER, MAGIC, SUPERBLOCK, Lost, WriteLog, rebuild

SECTOR = 512
KERNEL, INITRAMFS = b"a kernel", b"an initramfs"
CHECKSUM = hashlib.sha256(KERNEL + INITRAMFS).hexdigest()
COMMIT = "c0ffee" * 10 + "cafe"
STRICT = Cut("a cut", 1.0, 100, Lost.ALL, 1)

needs_ext4 = pytest.mark.skipif(shutil.which("debugfs") is None, reason="debugfs is missing: apt-get install e2fsprogs")


def log_of(path: Path, entries: Sequence[tuple[int, bytes, int]]) -> WriteLog:
    """A log with entries of (first sector, data, flags)."""
    parts = [SUPERBLOCK.pack(MAGIC, 1, len(entries), SECTOR).ljust(SECTOR, b"\0")]
    for first, data, flags in entries:
        parts += [HEADER.pack(first, len(data) // SECTOR, flags, 0).ljust(SECTOR, b"\0"), data]
    path.write_bytes(b"".join(parts))
    return WriteLog(path)


def sector(letter: str) -> bytes:
    return letter.encode() * SECTOR


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    image = tmp_path / "disk.img"
    image.write_bytes(sector("-") * 8)
    return image


def letters(image: Path) -> str:
    """The first letter of each sector."""
    return image.read_bytes()[::SECTOR].decode()


@pytest.mark.parametrize(("lost", "left"), [(Lost.ALL, "a-------"), (Lost.NONE, "abc-----")])
def test_what_was_not_flushed_is_lost_or_kept(tmp_path: Path, disk: Path, lost: Lost, left: str) -> None:
    writes = [(0, sector("a"), 0), (0, b"", FLUSH), (1, sector("b"), 0), (2, sector("c"), 0), (3, sector("d"), 0)]
    log = log_of(tmp_path / "log", writes)
    upto = [write.at for write in log.entries()][4]
    rebuild(disk, log, tmp_path / "cut.img", upto=upto, lost=lost)
    assert letters(tmp_path / "cut.img") == left
    assert letters(disk) == "--------"


def test_a_random_half_of_it_is_the_same_for_the_same_seed(tmp_path: Path, disk: Path) -> None:
    log = log_of(tmp_path / "log", [(n, sector("x"), 0) for n in range(8)])
    size = log.path.stat().st_size

    def cut(seed: int) -> str:
        rebuild(disk, log, tmp_path / "cut.img", upto=size, lost=Lost.HALF, seed=seed)
        return letters(tmp_path / "cut.img")

    assert cut(1) == cut(1)
    assert len({cut(seed) for seed in range(5)}) > 1


def test_another_file_is_no_log(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(bytes(SECTOR))
    with pytest.raises(LabError, match="no log of writes"):
        list(WriteLog(tmp_path / "log").entries())


def ext4(tmp_path: Path, folder: Path) -> FileSystem:
    """A file system with the contents of a folder, a megabyte into an image."""
    image = tmp_path / "fs.img"
    image.write_bytes(bytes(1))
    must(["mke2fs", "-q", "-t", "ext4", "-E", "offset=1048576", "-d", folder, image, "16M"])
    return FileSystem(image, 1048576)


def entry(version: int, boot: str = "boot.1") -> str:
    place = f"/boot/ostree/debian-{CHECKSUM}"
    options = f"options root=LABEL=root ostree=/ostree/{boot}/debian/{CHECKSUM}/0"
    return f"title Debian {version}\nversion {version}\nlinux {place}/vmlinuz\ninitrd {place}/initramfs\n{options}\n"


@pytest.fixture
def boot(tmp_path: Path) -> Path:
    folder = tmp_path / "boot"
    entries, kernels = folder / "loader.1/entries", folder / f"ostree/debian-{CHECKSUM}"
    entries.mkdir(parents=True)
    kernels.mkdir(parents=True)
    (folder / "loader").symlink_to("loader.1")
    (entries / "ostree-1-debian.conf").write_text(entry(1))
    (entries / "ostree-2-debian.conf").write_text(entry(2))
    (kernels / "vmlinuz").write_bytes(KERNEL)
    (kernels / "initramfs").write_bytes(INITRAMFS)
    return folder


@needs_ext4
def test_the_default_comes_first_and_a_torn_entry_is_skipped(tmp_path: Path, boot: Path) -> None:
    (boot / "loader.1/entries/ostree-3-debian.conf").write_text("title Debi")
    menu = read_menu(ext4(tmp_path, boot))
    assert [e.rank for e in menu] == [2, 1]
    assert menu[0].kernel == f"/ostree/debian-{CHECKSUM}/vmlinuz"


@needs_ext4
def test_a_loader_that_leads_nowhere_is_an_empty_menu(tmp_path: Path, boot: Path) -> None:
    (boot / "loader").unlink()
    assert read_menu(ext4(tmp_path, boot)) == ()


@needs_ext4
@pytest.mark.parametrize(("kernel", "whole"), [(KERNEL, True), (KERNEL[:-1], False), (b"", False)])
def test_a_torn_kernel_is_found_by_its_checksum(tmp_path: Path, boot: Path, kernel: bytes, whole: bool) -> None:
    (boot / f"ostree/debian-{CHECKSUM}/vmlinuz").write_bytes(kernel)
    system = ext4(tmp_path, boot)
    assert is_whole(system, read_menu(system)[0], tmp_path / "scratch") is whole


@needs_ext4
@pytest.mark.parametrize("gone", [None, "ostree/boot.1", "ostree/deploy"])
def test_the_root_of_an_entry_is_found_through_its_links_or_gone(tmp_path: Path, boot: Path, gone: str | None) -> None:
    root = tmp_path / "root"
    links = root / "ostree/boot.1.1/debian" / CHECKSUM
    links.mkdir(parents=True)
    (root / f"ostree/deploy/debian/deploy/{COMMIT}.0").mkdir(parents=True)
    (root / "ostree/boot.1").symlink_to("boot.1.1")
    (links / "0").symlink_to(f"../../../deploy/debian/deploy/{COMMIT}.0")
    if gone is not None:
        lost = root / gone
        lost.unlink() if lost.is_symlink() else shutil.rmtree(lost)
    default = read_menu(ext4(tmp_path, boot))[0]
    found = deployment_of(ext4(tmp_path, root), default)
    assert (found is not None and found.endswith(f"/{COMMIT}.0")) is (gone is None)


def at(secs: float, finding: Finding, lost: Lost = Lost.ALL) -> Instant:
    return Instant(secs, int(secs * 1000), lost, 1, finding)


OLD, NEW = Finding(Verdict.AGREE, "1", "1"), Finding(Verdict.AGREE, "2", "2")
DEAD = Finding(Verdict.NO_ROOT, "nothing", "2")


def test_flushes_with_one_finding_are_one_window() -> None:
    found = windows([at(1, OLD), at(2, OLD), at(2.5, DEAD, Lost.HALF), at(3, DEAD), at(3.5, NEW), at(9, NEW)])
    assert [(w.begin_secs, w.end_secs, w.finding, len(w.instants)) for w in found] == [
        (1, 3, OLD, 2),
        (3, 3.5, DEAD, 1),
        (3.5, 9, NEW, 2),
    ]
    assert len(window_faults(found, frozenset())) == 1
    assert window_faults(found, frozenset({Verdict.NO_ROOT})) == []


def result(boots: str | None, denied: tuple[str, ...], ends: str | None) -> Result:
    return Result(STRICT, boots, (), denied, ends, "detail", 0, 1, 1.0)


def test_a_host_that_found_its_way_has_no_faults() -> None:
    assert faults(UPDATE, result("1", (), "2")) == []
    assert faults(ROLLBACK, result("2u", ("2u",), "1")) == []
    assert faults(FALL_BACK, result("1", ("2",), "1")) == []
    assert faults(FALL_BACK, result("2", (), "2")) == []


def test_a_host_that_does_not_boot_a_good_release_denied_and_a_bad_one_kept_are_faults() -> None:
    assert faults(UPDATE, result(None, (), None)) == ["the host does not boot"]
    assert faults(UPDATE, result("1", ("2",), "1"))[0] == "2 is denied, though nothing is wrong with it"
    kept = faults(ROLLBACK, result("2u", ("2u", "1"), "2u"))
    assert kept == ["1 is denied, though nothing is wrong with it", "2u is denied, and the host stays in it"]
    assert faults(FALL_BACK, result("2", ("2",), "2")) == ["2 is denied, and the host stays in it"]
    assert faults(UPDATE, result("1", (), "1")) == ["the host ends in 1: detail"]
