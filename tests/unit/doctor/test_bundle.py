"""``doctor --report``: all that helps, and no secret."""

from __future__ import annotations

import asyncio
import json
import tarfile
from pathlib import Path

import pytest

from tidegate.config.problems import Problem
from tidegate.doctor import bundle
from tidegate.doctor.base import Host
from tidegate.identity import HostIdentity
from tidegate.settings import Settings


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GET https://bob:hunter2@h.example/x failed", "GET https://***@h.example/x failed"),
        ("'https://hunter2@h.example'", "'https://***@h.example'"),
        (
            "see https://h.example/g.json?arch=x&token=hunter2&a=b here",
            "see https://h.example/g.json?arch=x&token=***&a=b here",
        ),
        ("Authorization: Bearer hunter2", "Authorization: ***"),
        ('{"authorization": "hunter2"}', '{"authorization": "***"}'),
        ("-----BEGIN EC PRIVATE KEY-----\nhunter2\n-----END EC PRIVATE KEY-----\nrest", "*** a private key ***\nrest"),
        ("-----BEGIN PRIVATE KEY-----\nhunter2 cut off", "*** a private key ***"),
        ("mail to a@b.example, lock since 12:00", "mail to a@b.example, lock since 12:00"),
    ],
)
def test_secrets_are_left_out(text: str, shown: str) -> None:
    assert bundle.without_secrets(text) == shown
    assert "hunter2" not in shown


def host(problems: tuple[Problem, ...] = ()) -> Host:
    snapshot = {"last_error": {"message": "https://bob:hunter2@h.example is down"}}
    return Host(Settings(), problems, snapshot, HostIdentity("default", "x86_64"), None, 0)


def read(path: Path) -> dict[str, str]:
    texts: dict[str, str] = {}
    with tarfile.open(path) as archive:
        for member in archive.getmembers():
            file = archive.extractfile(member)
            assert file is not None, "it has files only"
            texts[member.name.removeprefix("tidegate-report/")] = file.read().decode()
    return texts


def test_the_bundle_has_all_parts_and_is_its_owners(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "COMMANDS", {"journal.txt": ("echo", "token at https://x:hunter2@y.example")})
    path = tmp_path / "report.tar.gz"
    bundle.write(path, asyncio.run(bundle.files(host(), {"schema": 1})))
    assert path.stat().st_mode & 0o777 == 0o600
    texts = read(path)
    assert set(texts) == {"doctor.json", "status.json", "configuration.toml", "versions.txt", "journal.txt"}
    assert json.loads(texts["doctor.json"]) == {"schema": 1}
    assert texts["journal.txt"] == "token at https://***@y.example\n"
    assert "hunter2" not in "".join(texts.values())
    with pytest.raises(FileExistsError):
        bundle.write(path, {})


def test_a_command_that_is_missing_or_fails_is_a_line_of_the_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        bundle, "COMMANDS", {"a.txt": ("no-such-program",), "b.txt": ("sh", "-c", "echo oops >&2; exit 1")}
    )
    texts = asyncio.run(bundle.files(host(), {}))
    assert "no-such-program is not installed" in texts["a.txt"]
    assert texts["b.txt"] == "oops\n"
