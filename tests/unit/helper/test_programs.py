"""Programs in folders: which are found, which are masked, which root may execute."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.health.wire import EXECUTABLES, weight_of
from tidegate.helper.checks import PassedChecks
from tidegate.helper.programs import Program, programs
from tidegate.helper.transient import unit_name
from tidegate.helper.trusted_file import why_not_run
from tidegate.system.boot import BootInstance

SCRIPT = "#!/bin/sh\n"
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: what is run belongs to root")


def put(root: Path, path: str, text: str = SCRIPT) -> Path:
    found = root / path
    found.parent.mkdir(parents=True, exist_ok=True)
    found.write_text(text)
    found.chmod(0o755)
    return found


def listed(root: Path) -> dict[str, str]:
    return {one.name: str(one.path.relative_to(root)) for one in programs(root)}


def test_a_later_folder_goes_over_an_earlier_one(tmp_path: Path) -> None:
    for place in ("usr/lib", "etc", "run"):
        put(tmp_path, f"{place}/tidegate/health.d/required/{place[0]}-only")
        put(tmp_path, f"{place}/tidegate/health.d/required/all")
    put(tmp_path, "etc/tidegate/health.d/wanted/all")
    assert listed(tmp_path) == {
        "required/all": "run/tidegate/health.d/required/all",
        "required/e-only": "etc/tidegate/health.d/required/e-only",
        "required/r-only": "run/tidegate/health.d/required/r-only",
        "required/u-only": "usr/lib/tidegate/health.d/required/u-only",
        "wanted/all": "etc/tidegate/health.d/wanted/all",
    }


@pytest.mark.parametrize("mask", ["null", "empty"])
def test_a_link_to_nothing_masks(tmp_path: Path, mask: str) -> None:
    put(tmp_path, "usr/lib/tidegate/health.d/required/a")
    put(tmp_path, "usr/lib/greenboot/check/required.d/a.sh")
    for masking in (tmp_path / "etc/tidegate/health.d/required/a", tmp_path / "etc/greenboot/check/required.d/a.sh"):
        masking.parent.mkdir(parents=True)
        masking.symlink_to("/dev/null") if mask == "null" else masking.touch()
    assert listed(tmp_path) == {}


def test_greenboots_own(tmp_path: Path) -> None:
    put(tmp_path, "usr/lib/greenboot/check/required.d/01_dns.sh")
    put(tmp_path, "usr/lib/greenboot/check/wanted.d/02_dog.sh")
    put(tmp_path, "usr/lib/greenboot/check/wanted.d/README")
    put(tmp_path, "etc/greenboot/check/required.d/off.sh")
    put(tmp_path, "etc/greenboot/greenboot.conf", '# x\nDISABLED_HEALTHCHECKS=("off.sh" # why\n  other.sh)\n')
    assert listed(tmp_path) == {
        "greenboot-required/01_dns.sh": "usr/lib/greenboot/check/required.d/01_dns.sh",
        "greenboot-wanted/02_dog.sh": "usr/lib/greenboot/check/wanted.d/02_dog.sh",
    }


@pytest.mark.parametrize("text", ["DISABLED_HEALTHCHECKS=(a.sh", 'DISABLED_HEALTHCHECKS=("a.sh)', "\x00\xff"])
def test_a_configuration_that_only_a_shell_understands_disables_nothing(tmp_path: Path, text: str) -> None:
    put(tmp_path, "etc/greenboot/check/required.d/a.sh")
    put(tmp_path, "etc/greenboot/greenboot.conf", text)
    assert "greenboot-required/a.sh" in listed(tmp_path)


def test_leftovers_are_none_and_strange_names_are_shown_as_what_they_are(tmp_path: Path) -> None:
    for name in (".a.swp", "a~", "sp ace", "é\n", os.fsdecode(b"\xff")):
        put(tmp_path, f"etc/tidegate/health.d/required/{name}")
    assert set(listed(tmp_path)) == {"required/sp%20ace", "required/%C3%A9%0A", "required/%FF"}
    assert all(one.name.isascii() and one.name.isprintable() for one in programs(tmp_path))


def test_a_folder_that_cannot_be_read_is_not_an_empty_one(tmp_path: Path) -> None:
    folder = tmp_path / "etc/tidegate/health.d"
    folder.mkdir(parents=True)
    (folder / "required").symlink_to("required")
    with pytest.raises(OSError, match="symbolic links"):
        programs(tmp_path)


def test_every_group_has_folders_and_a_weight(tmp_path: Path) -> None:
    for folder in ("etc/tidegate/health.d/required", "etc/tidegate/health.d/wanted"):
        put(tmp_path, f"{folder}/a")
    for folder in ("etc/greenboot/check/required.d", "etc/greenboot/check/wanted.d"):
        put(tmp_path, f"{folder}/a.sh")
    groups = [one.name.partition("/")[0] for one in programs(tmp_path)]
    assert groups == list(EXECUTABLES)
    assert [str(weight_of(one.name)) for one in programs(tmp_path)] == ["required", "advisory"] * 2
    assert str(weight_of("of-a-later-version/a")) == "required"


@root_only
def test_what_root_runs(tmp_path: Path) -> None:
    path = put(tmp_path, "a")
    assert why_not_run(path) is None
    link = tmp_path / "link"
    link.symlink_to(path)
    assert why_not_run(link) is None


@root_only
@pytest.mark.parametrize(
    ("mode", "uid", "gid", "why"),
    [
        (0o644, 0, 0, "is not executable"),
        (0o757, 0, 0, "can be written by others"),
        (0o775, 0, 65534, "can be written by others"),
        (0o775, 0, 0, None),
        (0o755, 65534, 0, "belongs to uid 65534, not to root"),
    ],
)
def test_what_root_does_not_run(tmp_path: Path, mode: int, uid: int, gid: int, why: str | None) -> None:
    path = put(tmp_path, "a")
    os.chown(path, uid, gid)
    path.chmod(mode)
    link = tmp_path / "link"
    link.symlink_to(path)
    for asked in (path, link):
        found = why_not_run(asked)
        assert found is None if why is None else why in (found or "")


@root_only
def test_what_is_on_the_way_counts_also_behind_a_link(tmp_path: Path) -> None:
    path = put(tmp_path, "open/below/a")
    (tmp_path / "open").chmod(0o777)
    link = tmp_path / "link"
    link.symlink_to(path)
    for asked in (path, link):
        assert f"its folder {tmp_path / 'open'} can be written" in (why_not_run(asked) or "")
    (tmp_path / "open").chmod(0o1777)
    assert why_not_run(link) is None
    os.chown(tmp_path / "open", 65534, 0)
    assert "belongs to uid 65534" in (why_not_run(link) or "")


def test_what_is_no_program(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert "symbolic links" in (why_not_run(loop) or "")
    assert "No such file" in (why_not_run(tmp_path / "gone") or "")
    assert why_not_run(tmp_path) == "is not a regular file"


BOOT = BootInstance("b", 0, 1)


def test_what_has_passed_has_passed_in_this_boot_and_as_it_is(tmp_path: Path) -> None:
    program = Program("required/a", put(tmp_path, "a"))
    passed = PassedChecks(BOOT, tmp_path / "x/notes")
    assert not passed.contains(program)
    passed.add(program)
    assert passed.contains(program)
    assert not passed.contains(Program("wanted/a", program.path))
    assert not PassedChecks(BootInstance("b", 1, 1), tmp_path / "x/notes").contains(program)
    program.path.write_text(SCRIPT + "exit 0\n")
    assert not passed.contains(program)


@given(st.text(max_size=400))
def test_any_name_has_a_unit_of_its_own(name: str) -> None:
    unit = unit_name(name)
    assert len(unit) < 255
    assert unit.isascii()
    assert set(unit) & set("/ \n%$") == set()
    assert unit != unit_name(name + "-")
