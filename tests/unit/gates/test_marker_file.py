"""The strategy ``marker_file``: what a marker says, and whose word it is."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.builders import at, release
from tests.fakes.clock import START
from tidegate.gates.base import Allow, Question, Verdict, Wait
from tidegate.gates.marker_file import MAX_BYTES, MarkerFile, expiry_in
from tidegate.release import Purpose

IN_AN_HOUR = START + timedelta(hours=1)
NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it gives files to other users")


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """Where the marker is looked for; there is none yet."""
    return tmp_path / "admin" / "allow reboot.json"


def put(marker: Path, content: str | bytes, mode: int = 0o644) -> None:
    marker.parent.mkdir(exist_ok=True)
    marker.write_bytes(content.encode() if isinstance(content, str) else content)
    marker.chmod(mode)


def ask(marker: Path, secs: float = 0) -> Verdict:
    return asyncio.run(MarkerFile(marker).ask(Question(release("2"), Purpose.UPDATE, at(secs))))


def refused(marker: Path, secs: float = 0) -> Wait:
    verdict = ask(marker, secs)
    assert isinstance(verdict, Wait)
    assert verdict.gate == "marker_file"
    assert "tidegate apply --now --override marker_file" in verdict.remedy
    return verdict


def test_a_marker_without_an_expiry_allows(marker: Path) -> None:
    put(marker, "{}")
    verdict = ask(marker)
    assert isinstance(verdict, Allow)
    assert verdict.until is None


@pytest.mark.parametrize(
    "content",
    [
        '{"not_after": "2026-03-02T11:00:00Z"}',
        '{"not_after": "2026-03-02T12:00:00+01:00"}',
        f'{{"not_after": {IN_AN_HOUR.timestamp():.0f}}}',
        f' {{"allowUntil": {IN_AN_HOUR.timestamp()}}}\n',
    ],
)
def test_a_marker_allows_until_it_expires(marker: Path, content: str) -> None:
    put(marker, content)
    verdict = ask(marker, 3599.9)
    assert isinstance(verdict, Allow)
    assert verdict.until == IN_AN_HOUR
    expired = refused(marker, 3600)
    assert "expired at 2026-03-02T11:00:00Z" in expired.reason


@pytest.mark.parametrize("with_folder", [False, True])
def test_without_a_marker_it_waits_and_says_how_to_make_one(marker: Path, with_folder: bool) -> None:
    if with_folder:
        marker.parent.mkdir()
    verdict = refused(marker)
    assert verdict.reason == f"there is no marker {marker}"
    assert f"echo '{{}}' > '{marker}'" in verdict.remedy


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "it is empty"),
        ("\n", "it is empty"),
        ("yes", "it is not JSON"),
        ("{}{}", "it is not JSON"),
        (b"\xff\xfe{}", "it is not JSON"),
        ("[" * MAX_BYTES, "it is not JSON"),
        ("[]", "it is not a JSON object"),
        ("null", "it is not a JSON object"),
        ('{"not_affter": 1}', "the key 'not_affter' is not known"),
        ('{"not_after": 1, "allowUntil": 1}', "give one"),
        ('{"not_after": 1, "not_after": 9999999999}', "a key is given twice"),
        ('{"not_after": null}', "not_after is not an instant"),
        ('{"not_after": true}', "not_after is not an instant"),
        ('{"not_after": {}}', "not_after is not an instant"),
        ('{"not_after": "tomorrow"}', "not_after is not an instant"),
        ('{"not_after": "2026-12-24T06:00:00"}', "no offset from UTC"),
        ('{"not_after": 1e99}', "not_after is not an instant"),
        ('{"not_after": NaN}', "not_after is not an instant"),
        ('{"not_after": 1772449200000000}', "not_after is not an instant"),
        ('{"not_after": "0001-01-01T00:00:00+23:00"}', "not_after is not an instant"),
        ("{}" + " " * MAX_BYTES, "more than 4096 bytes"),
    ],
)
def test_a_malformed_marker_allows_nothing(marker: Path, content: str | bytes, why: str) -> None:
    put(marker, content)
    verdict = refused(marker)
    assert "is malformed" in verdict.reason
    assert why in verdict.reason


@given(content=st.binary(max_size=MAX_BYTES + 10) | st.text('{}[]":,0123456789eE.-notafer_ \n').map(str.encode))
def test_no_content_does_more_than_be_refused(content: bytes) -> None:
    expiry = None
    with suppress(ValueError):
        expiry = expiry_in(content)
    assert expiry is None or expiry.tzinfo is UTC


def test_a_link_is_not_followed(marker: Path, tmp_path: Path) -> None:
    put(tmp_path / "real.json", "{}")
    marker.parent.mkdir()
    marker.symlink_to(tmp_path / "real.json")
    verdict = refused(marker)
    assert f"{marker} is a symbolic link, not a plain file" in verdict.reason


def test_nor_is_a_link_on_the_way(marker: Path, tmp_path: Path) -> None:
    put(tmp_path / "real" / marker.name, "{}")
    marker.parent.symlink_to(tmp_path / "real")
    verdict = refused(marker)
    assert f"{marker.parent} is a symbolic link, not a folder" in verdict.reason
    assert "updates.marker_file.path" in verdict.remedy


def test_what_would_wait_for_a_writer_is_not_even_opened(marker: Path) -> None:
    marker.parent.mkdir()
    os.mkfifo(marker)
    assert "is a FIFO, not a plain file" in refused(marker).reason


def test_folders_sockets_and_files_on_the_way_are_named(marker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker.mkdir(parents=True)
    assert "is a folder, not a plain file" in refused(marker).reason
    marker.rmdir()
    with socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.chdir(marker.parent)  # socket paths end at 107 bytes
        listening.bind(marker.name)
    assert "is a socket, not a plain file" in refused(marker).reason
    marker.unlink()
    put(marker, "{}")
    assert "is a plain file, not a folder" in refused(marker / "below").reason


def test_a_device_is_not_read() -> None:
    assert "is a device, not a plain file" in refused(Path("/dev/zero")).reason


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_a_marker_that_others_may_write_is_not_trusted(marker: Path, mode: int) -> None:
    put(marker, "{}", mode)
    verdict = refused(marker)
    assert "can be written by others" in verdict.reason
    assert f"chmod go-w '{marker}'" in verdict.remedy


def test_nor_is_one_in_a_folder_that_others_may_write(marker: Path) -> None:
    put(marker, "{}")
    marker.parent.chmod(0o777)
    assert f"{marker.parent} can be written by others" in refused(marker).reason
    marker.parent.chmod(0o1777)  # there nobody can put another in the place of root's
    assert isinstance(ask(marker), Allow)


@as_root
def test_nor_is_one_of_somebody_else(marker: Path) -> None:
    put(marker, "{}")
    os.chown(marker, NOBODY, -1)
    verdict = refused(marker)
    assert f"{marker} belongs to uid {NOBODY}, not to root" in verdict.reason
    assert "chown root:" in verdict.remedy
    os.chown(marker, 0, -1)
    os.chown(marker.parent, NOBODY, -1)
    assert f"{marker.parent} belongs to uid {NOBODY}" in refused(marker).reason


@as_root
def test_one_that_cannot_be_read_is_no_permission(marker: Path) -> None:
    put(marker, "{}", 0o600)
    for folder in (marker.parent, *marker.parent.parents[:3]):
        folder.chmod(folder.stat().st_mode | 0o111)
    os.seteuid(NOBODY)
    try:
        verdict = refused(marker)
    finally:
        os.seteuid(0)
    assert "cannot be read: Permission denied" in verdict.reason
    assert "chmod 0644" in verdict.remedy


def open_descriptors() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


def test_asking_again_and_again_leaves_no_descriptor_open(marker: Path) -> None:
    put(marker, "{}")
    before = open_descriptors()
    for _ in range(50):
        assert isinstance(ask(marker), Allow)
        refused(marker / "below")
        refused(marker.parent)
    assert open_descriptors() <= before


def test_instants_are_shown_in_utc() -> None:
    assert expiry_in(b'{"not_after": "2026-03-02T12:00:00+01:00"}') == datetime(2026, 3, 2, 11, tzinfo=UTC)
