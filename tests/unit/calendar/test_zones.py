"""Loading time zones by name, and that of the host."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path
from zoneinfo import TZPATH, ZoneInfo

import pytest

from tidegate.calendar.zones import UnknownZoneError, load_zone, offset_at, pieces

SUMMER = datetime(2026, 7, 1, tzinfo=UTC)
BERLIN = next(path for path in (Path(root) / "Europe/Berlin" for root in TZPATH) if path.exists())


def test_utc_needs_no_database() -> None:
    assert load_zone("UTC") is UTC


def test_localtime_may_be_a_link_or_a_copy(tmp_path: Path) -> None:
    link, copy = tmp_path / "link", tmp_path / "copy"
    link.symlink_to(BERLIN)
    copy.write_bytes(BERLIN.read_bytes())
    for file in (link, copy):
        assert offset_at(load_zone("localtime", file), SUMMER) == timedelta(hours=2)


def test_localtime_without_a_file_is_utc(tmp_path: Path) -> None:
    assert load_zone("localtime", tmp_path / "localtime") is UTC


def test_an_unusable_localtime_is_an_error(tmp_path: Path) -> None:
    dangling, nonsense = tmp_path / "dangling", tmp_path / "nonsense"
    dangling.symlink_to("/usr/share/zoneinfo/Nowhere")
    nonsense.write_bytes(b"no zone")
    for file, words in ((dangling, "does not exist"), (nonsense, "cannot be used"), (tmp_path, "cannot be used")):
        with pytest.raises(UnknownZoneError, match=words):
            load_zone("localtime", file)


@pytest.mark.parametrize("cut", [1, 2, 10, 100, 300, 500])
def test_a_zone_file_that_is_cut_short_is_refused_with_a_reason(tmp_path: Path, cut: int) -> None:
    """Without its last byte, zoneinfo looks for the end of the file for ever."""
    file = tmp_path / "localtime"
    file.write_bytes(BERLIN.read_bytes()[:-cut])
    with pytest.raises(UnknownZoneError, match=f"{file} cannot be used as a zone: it is cut short"):
        load_zone("localtime", file)


def test_a_damaged_zone_file_is_refused_or_used_and_never_an_error_of_another_kind(tmp_path: Path) -> None:
    file, whole = tmp_path / "localtime", BERLIN.read_bytes()
    for place in range(0, len(whole), 7):
        file.write_bytes(whole[:place] + bytes((whole[place] ^ 0xFF,)) + whole[place + 1 :])
        with suppress(UnknownZoneError):
            offset_at(load_zone("localtime", file), SUMMER)


def test_a_zone_of_the_database_that_is_cut_short_or_a_fifo_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoneinfo.TZPATH", (str(tmp_path),))
    (tmp_path / "Short").write_bytes(BERLIN.read_bytes()[:-1])
    os.mkfifo(tmp_path / "Fifo")
    (tmp_path / "Huge").write_bytes(BERLIN.read_bytes() + b"x" * 2_000_000)
    for name in ("Short", "Fifo", "Huge"):
        with pytest.raises(UnknownZoneError, match=f"no usable zone '{name}'"):
            load_zone(name)


@pytest.mark.parametrize("name", ["", "Nowhere", "Europe", "../passwd", "/etc/passwd", "Europe/Berlin\0", "x" * 500])
def test_an_unknown_zone_is_an_error(name: str) -> None:
    with pytest.raises(UnknownZoneError):
        load_zone(name)


def test_pieces_are_cut_at_the_second_of_a_change() -> None:
    zone = ZoneInfo("Europe/Berlin")
    start = datetime(2026, 3, 27, 11, 22, 33, 444, tzinfo=UTC)
    found = list(islice(pieces(zone, start), 40))
    assert found[0].start == start
    assert all(one.end == two.start for one, two in pairwise(found))
    changes = [two.start for one, two in pairwise(found) if one.offset != two.offset]
    assert changes == [datetime(2026, 3, 29, 1, tzinfo=UTC)]
