"""The wheel, built with the build hook of the man pages."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from contrib.man import roff

CHECKOUT = Path(__file__).resolve().parents[3]
SOURCES = sorted((CHECKOUT / "contrib/man").glob("*.md"))


def build(folder: Path) -> Path:
    (wheel,) = WheelBuilder(str(CHECKOUT)).build(directory=str(folder), versions=["standard"])
    return Path(wheel)


def test_the_pages_are_compiled_and_their_sources_left_out(tmp_path: Path) -> None:
    with zipfile.ZipFile(build(tmp_path)) as wheel:
        pages = {
            name.partition(".data/data/share/tidegate/man/")[2]: wheel.read(name).decode()
            for name in wheel.namelist()
            if "share/tidegate/man/" in name
        }
        assert not [name for name in wheel.namelist() if name.endswith((".1.md", ".5.md", ".8.md", "roff.py"))]
    assert pages == {str(roff.place_of(source)): roff.page(source.read_text(encoding="utf-8")) for source in SOURCES}


def test_a_second_build_gives_the_same_bytes(tmp_path: Path) -> None:
    assert build(tmp_path / "first").read_bytes() == build(tmp_path / "second").read_bytes()


def test_no_temporary_folder_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    build(tmp_path / "wheel")
    assert list(temporary.iterdir()) == []
