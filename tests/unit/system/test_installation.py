"""How Tidegate was installed, and remedies that fit it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidegate.system.installation import is_packaged, remedy_for_extra


@pytest.fixture(name="package")
def _package(tmp_path: Path) -> str:
    """The environment of the Debian packages."""
    (tmp_path / "lib/python3/site-packages/tidegate").mkdir(parents=True)
    return str(tmp_path)


def test_an_environment_of_ones_own_is_completed_by_its_own_pip(tmp_path: Path) -> None:
    assert not is_packaged(str(tmp_path))
    remedy = remedy_for_extra("trust", str(tmp_path), tmp_path / "not-ostree")
    assert remedy == f"{tmp_path}/bin/pip install 'tidegate[trust]'"


@pytest.mark.parametrize(
    ("extra", "remedy"),
    [
        ("coordinator", "apt-get install tidegate-coordinator"),
        ("metrics", "apt-get install tidegate-common"),
        ("trust", "the Debian packages do not have it: install tidegate[trust] into a virtual environment (README.md)"),
    ],
)
def test_a_package_is_completed_by_a_package(package: str, tmp_path: Path, extra: str, remedy: str) -> None:
    assert remedy_for_extra(extra, package, tmp_path / "not-ostree") == remedy


def test_on_a_host_whose_usr_is_its_releases_the_remedy_is_for_who_builds_them(package: str, tmp_path: Path) -> None:
    booted = tmp_path / "ostree-booted"
    booted.touch()
    for prefix in (package, str(tmp_path / "own")):
        assert remedy_for_extra("coordinator", prefix, booted).startswith("add it to this host's releases")
