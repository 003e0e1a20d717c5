"""``tidegate install``: into an image, twice, and where it cannot."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from contrib.man import roff
from tidegate.cli import install_cmd, install_places
from tidegate.cli.entry import cli

CHECKOUT = Path(__file__).parents[3]


@pytest.fixture(name="data")
def _data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data files as a wheel would have put them; those of this checkout."""
    data = tmp_path / "prefix" / "share" / "tidegate"
    for folder in ("systemd", "config.d"):
        shutil.copytree(CHECKOUT / folder, data / folder)
    shutil.copytree(CHECKOUT / "contrib/completions", data / "completions")
    roff.main(data / "man")
    for kind in ("coordinator", "monitoring"):
        shutil.copytree(CHECKOUT / "contrib" / kind, data / "examples" / kind)
    monkeypatch.setattr(install_cmd, "DATA", data)
    return data


@pytest.fixture(name="root")
def _root(tmp_path: Path) -> Path:
    root = tmp_path / "image"
    root.mkdir()
    return root


def install(root: Path) -> Result:
    return CliRunner().invoke(cli, ["install", "--root", str(root)], catch_exceptions=False)


def test_everything_is_put_in_place_and_said(data: Path, root: Path) -> None:
    done = install(root)
    assert (done.exit_code, done.stderr) == (0, "")
    for name, place in install_places.PLACES.items():
        assert (root / place).read_bytes() == (data / "systemd" / name).read_bytes()
        assert (root / place).stat().st_mode & 0o777 == 0o644
    snippets = sorted(path.name for path in (root / install_places.CONFIG).iterdir())
    assert snippets == sorted(path.name for path in (data / "config.d").glob("*.toml"))
    for source in (CHECKOUT / "contrib/man").glob("*.md"):
        page = roff.place_of(source)
        assert (root / install_places.MANUALS / page).read_bytes() == (data / "man" / page).read_bytes()
    for name, place in install_places.COMPLETIONS.items():
        assert (root / place).read_bytes() == (data / "completions" / name).read_bytes()
    dashboard = root / install_places.EXAMPLES / "monitoring/tidegate-dashboard.json"
    assert dashboard.read_bytes() == (CHECKOUT / "contrib/monitoring/tidegate-dashboard.json").read_bytes()
    placed = [path for path in root.rglob("*") if not path.is_dir()] + [
        root / folder for folder in install_places.SITE_FOLDERS
    ]
    assert sorted(done.stdout.split()) == sorted(map(str, placed)), "each file is said, and no draft is left"
    assert "systemctl" not in done.stdout, "an image has no running system to take note"


def test_every_file_that_the_wheel_carries_has_a_place(data: Path) -> None:
    assert {path.name for path in (data / "systemd").iterdir()} == set(install_places.PLACES)


def test_the_command_is_a_link_to_the_script_of_the_wheel(data: Path, root: Path) -> None:
    assert data
    install(root)
    assert (root / install_places.COMMAND).readlink() == Path(sys.prefix) / "bin" / "tidegate"


def test_a_wheel_inside_the_image_is_linked_as_the_image_will_see_it(
    data: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert data
    monkeypatch.setattr(sys, "prefix", str(root / "opt/tidegate"))
    install(root)
    assert (root / install_places.COMMAND).readlink() == Path("/opt/tidegate/bin/tidegate")


def test_no_umask_makes_a_folder_that_others_may_write(data: Path, root: Path) -> None:
    assert data
    before = os.umask(0)
    try:
        install(root)
    finally:
        os.umask(before)
    loose = [path for path in root.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o022]
    assert loose == []
    assert {path.stat().st_mode & 0o777 for path in root.rglob("*") if path.is_dir()} == {0o755}


def test_a_command_that_a_package_has_put_there_is_left_alone(data: Path, root: Path) -> None:
    assert data
    command = root / install_places.COMMAND
    command.parent.mkdir(parents=True)
    command.write_text("#!/bin/sh\n")
    assert install(root).exit_code == 0
    assert command.read_text() == "#!/bin/sh\n"


def test_installing_again_replaces_and_changes_nothing_else(data: Path, root: Path) -> None:
    assert data
    install(root)
    unit = root / install_places.PLACES["tidegate.service"]
    good = unit.read_bytes()
    unit.write_text("old")
    before = sorted(root.rglob("*"))
    assert install(root).exit_code == 0
    assert (unit.read_bytes(), sorted(root.rglob("*"))) == (good, before)


def test_a_checkout_without_a_wheel_says_so(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install_cmd, "DATA", tmp_path / "nothing")
    done = install(root)
    assert (done.exit_code, done.stdout) == (1, "")
    assert f"there are no data files in {tmp_path}/nothing" in done.stderr
    assert "to do: install the wheel into an environment of its own" in done.stderr
    assert list(root.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "euid", "remedy"),
    [
        (errno.EROFS, 0, "  to do: /usr is part of this system's releases"),
        (errno.EACCES, 1000, "  to do: run it as root"),
        (errno.ENOSPC, 0, ""),
    ],
)
def test_a_place_that_cannot_be_written_is_named(
    data: Path, root: Path, monkeypatch: pytest.MonkeyPatch, number: int, euid: int, remedy: str
) -> None:
    def refused(_: object, target: object) -> None:
        raise OSError(number, os.strerror(number), str(target))

    assert data
    monkeypatch.setattr(shutil, "copyfile", refused)
    monkeypatch.setattr(os, "geteuid", lambda: euid)
    done = install(root)
    assert done.exit_code == 1
    assert done.stderr.startswith(f"tidegate: {root}/usr/lib/systemd/system/.tidegate.service.new: ")
    assert os.strerror(number) in done.stderr
    assert remedy in done.stderr
    assert "Traceback" not in done.stderr


def test_a_data_file_that_is_missing_is_named(data: Path, root: Path) -> None:
    (data / "systemd" / "tidegate.service").unlink()
    done = install(root)
    assert done.exit_code == 1
    assert str(data / "systemd" / "tidegate.service") in done.stderr


def test_a_root_that_does_not_exist_is_a_usage_error(tmp_path: Path) -> None:
    assert install(tmp_path / "nowhere").exit_code == 2


def test_a_dry_run_says_the_same_and_changes_nothing(data: Path, root: Path) -> None:
    assert data
    dry = CliRunner().invoke(cli, ["install", "--dry-run", "--root", str(root)], catch_exceptions=False)
    assert (dry.exit_code, dry.stderr) == (0, "Nothing was changed (--dry-run).\n")
    assert list(root.iterdir()) == []
    assert dry.stdout == install(root).stdout


def uninstall(root: Path, *options: str) -> Result:
    return CliRunner().invoke(cli, ["uninstall", "--root", str(root), *options], catch_exceptions=False)


def test_uninstalling_leaves_nothing_but_what_was_there_before(data: Path, root: Path) -> None:
    assert data
    (root / "usr/lib/systemd/system").mkdir(parents=True)
    (root / "usr/lib/systemd/system/other.service").touch()
    install(root)
    dry = uninstall(root, "--dry-run")
    assert (root / install_places.COMMAND).is_symlink()
    done = uninstall(root)
    assert (done.exit_code, done.stdout.startswith(dry.stdout)) == (0, True)
    files = [path for path in root.rglob("*") if not path.is_dir()]
    assert files == [root / "usr/lib/systemd/system/other.service"]
    assert not list(root.rglob("*tidegate*"))
    assert uninstall(root).stdout == "Nothing is installed.\n"


def test_uninstalling_disables_the_units_of_an_image(data: Path, root: Path) -> None:
    assert data
    if shutil.which("systemctl") is None:
        pytest.skip("needs systemctl")
    install(root)
    enable = ["systemctl", "--quiet", f"--root={root}", "enable", "tidegate.service", "tidegate-metrics.socket"]
    subprocess.run(enable, check=True, capture_output=True)
    assert [*root.glob("etc/systemd/system/*.wants/*")]
    uninstall(root)
    assert not [*root.glob("etc/systemd/system/*.wants/*")]


def test_what_an_administrator_has_written_stays(data: Path, root: Path) -> None:
    assert data
    install(root)
    snippet = root / install_places.SITE_FOLDERS[0] / "50-site.toml"
    snippet.write_text("[updates]\nenabled = false\n")
    command = root / install_places.COMMAND
    command.unlink()
    command.write_text("#!/bin/sh\n")
    uninstall(root)
    assert snippet.exists()
    assert command.exists(), "another package's command"


def test_a_reader_that_closes_the_pipe_does_not_end_it_half_way(data: Path, root: Path) -> None:
    script = f"from tidegate.cli import install_cmd; from pathlib import Path; install_cmd.DATA = Path({str(data)!r})"
    script = f"{script}; from tidegate.cli.entry import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", script, "install", "--root", str(root)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    for place in install_places.PLACES.values():
        assert (root / place).exists()
    assert (root / install_places.COMMAND).is_symlink()
