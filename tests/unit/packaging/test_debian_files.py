"""The files that the Debian packages are made of agree with the project and with one another."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from tidegate import __version__

CHECKOUT = Path(__file__).resolve().parents[3]
DEBIAN = CHECKOUT / "contrib/debian"
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

_PINNED = re.compile(r"^([\w-]+)==(\S+) \\\n    --hash=sha256:[0-9a-f]{64}$", re.MULTILINE)


def pinned(name: str) -> dict[str, tuple[int, ...]]:
    text = (DEBIAN / "vendored" / f"{name}.txt").read_text(encoding="utf-8")
    found = {name: _numbers(version) for name, version in _PINNED.findall(text)}
    assert len(found) == text.count("=="), "each is one version with its hash"
    return found


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _allows(bounds: str, version: tuple[int, ...]) -> bool:
    """Whether ``>=8.1,<9`` and the like have ``version``."""
    for operator, bound in re.findall(r"(>=|<|==)([\d.]+)", bounds):
        limit = _numbers(bound)
        shortened = version[: len(limit)]
        if not {">=": shortened >= limit, "<": shortened < limit, "==": shortened == limit}[operator]:
            return False
    return True


def _required(requirements: list[str]) -> dict[str, str]:
    return {found[1]: found[2] for text in requirements if (found := re.fullmatch(r"([\w-]+)([<>=,.\d]+)", text))}


def test_the_libraries_are_those_that_the_project_asks_for() -> None:
    agent, coordinator = pinned("agent"), pinned("coordinator")
    for name, bounds in _required(PROJECT["dependencies"]).items():
        assert _allows(bounds, agent[name]), name
    for name, bounds in _required(PROJECT["optional-dependencies"]["coordinator"]).items():
        assert _allows(bounds, (agent | coordinator)[name]), name
    assert not set(agent) & set(coordinator)


def test_bounds_are_read_as_they_are_meant() -> None:
    assert _allows(">=8.1,<9", (8, 5, 1))
    assert not _allows(">=8.1,<9", (9, 0))
    assert not _allows(">=8.1,<9", (8, 0, 9))
    assert not _allows("==0.2.3", (0, 2, 4))


def test_the_changelog_is_about_this_version() -> None:
    assert (DEBIAN / "changelog").read_text(encoding="utf-8").startswith(f"tidegate ({__version__}) ")
    assert PROJECT["version"] == __version__


def test_the_pythons_that_are_linked_are_those_that_may_be_installed() -> None:
    control, place = ((DEBIAN / name).read_text(encoding="utf-8") for name in ("control", "place.py"))
    linked = re.findall(r'"(3\.\d+)"', place)
    found = re.search(r"python3 \(>= (3\.\d+)\), python3 \(<< 3\.(\d+)\)", control)
    assert found is not None
    first, last = int(found[1].split(".")[1]), int(found[2]) - 1
    assert linked == [f"3.{minor}" for minor in range(first, last + 1)]


def test_every_library_is_in_the_account_of_copyrights() -> None:
    text = (DEBIAN / "copyright").read_text(encoding="utf-8")
    for name in {**pinned("agent"), **pinned("coordinator")}:
        assert f"/{name.replace('-', '_')}" in text, name
    named = {
        word for line in re.findall(r"^License: (.+)$", text, re.MULTILINE) for word in re.split(" and | or ", line)
    }
    explained = {block.split("\n")[0] for block in text.split("\nLicense: ") if block.split("\n", 1)[1].startswith(" ")}
    assert named <= explained
