"""The host's id, configured or derived from the machine id."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidegate.errors import ErrorKind, TidegateError
from tidegate.identity import Identity, app_specific_id, host_id, read_machine_id
from tidegate.settings import load

MACHINE = "2e074e9b299c41a59923c51ae16f279b"


def test_an_app_specific_id_is_that_of_systemd() -> None:
    """The test vector of libsystemd-rs, whose results are those of sd_id128_get_machine_app_specific()."""
    found = app_specific_id(bytes.fromhex(MACHINE), bytes.fromhex("033b1b9b264441fcaa173e9e5bf35c5a"))
    assert found.hex() == "4d4a86c9c6644a479560ded5d19a30c5"


def test_the_id_is_stable_and_not_the_machine_id(tmp_path: Path) -> None:
    file = tmp_path / "machine-id"
    file.write_text(f"{MACHINE}\n", encoding="ascii")
    found = host_id(Identity(), file)
    assert found == host_id(Identity(), file)
    assert found != MACHINE
    assert len(found) == 32


def test_a_configured_id_wins(tmp_path: Path) -> None:
    configured = Identity(node_uuid="27E3AC02-AF39-46AF-995C-9940E18B0CCE")
    assert host_id(configured, tmp_path / "none") == "27e3ac02af3946af995c9940e18b0cce"


@pytest.mark.parametrize("content", [None, b"", b"uninitialized\n", b"\xff" * 32, b"0" * 32, b"12"])
def test_without_a_machine_id_there_is_a_remedy(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "machine-id"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(TidegateError) as caught:
        read_machine_id(file)
    assert caught.value.kind is ErrorKind.IDENTITY_UNKNOWN
    assert "node_uuid" in caught.value.remedy


@pytest.mark.parametrize("stream", ["../../x", "..", ".", "a/../b", "a/./b", "/a", "a/", "a//b", "a b"])
def test_a_stream_that_would_lead_elsewhere_in_a_url_is_refused(tmp_path: Path, stream: str) -> None:
    (tmp_path / "x.toml").write_text(f'[identity]\nstream = "{stream}"\n', encoding="utf-8")
    (problem,) = load((tmp_path,)).problems
    assert problem.key == "identity.stream"


@pytest.mark.parametrize("stream", ["stable", "fedora/x86_64/coreos/stable", "a.b", "..a", "a-b_c"])
def test_names_between_slashes_are_a_stream(tmp_path: Path, stream: str) -> None:
    (tmp_path / "x.toml").write_text(f'[identity]\nstream = "{stream}"\n', encoding="utf-8")
    loaded = load((tmp_path,))
    assert loaded.settings is not None
    assert loaded.settings.identity.stream == stream
