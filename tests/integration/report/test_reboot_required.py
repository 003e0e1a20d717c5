"""/run/reboot-required: made and taken away by root's script, and nobody else's is touched."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "systemd/tidegate-reboot-required.sh"


class Run:
    """A /run of its own."""

    def __init__(self, folder: Path) -> None:
        self.flag = folder / "tidegate/public/reboot-required"
        self.required = folder / "reboot-required"
        self.packages = folder / "reboot-required.pkgs"
        self._folder = folder
        self.flag.parent.mkdir(parents=True)

    def sync(self) -> None:
        done = subprocess.run(["sh", SCRIPT, self._folder], capture_output=True, text=True, timeout=10, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    def want(self, *, reboot: bool) -> None:
        if reboot:
            self.flag.write_text("yes\n")
        else:
            self.flag.unlink(missing_ok=True)
        self.sync()

    @property
    def left(self) -> set[str]:
        """What is there beside the folder of the agent."""
        return {str(path.relative_to(self._folder)) for path in self._folder.rglob("*") if path.is_file()}


@pytest.fixture(name="run")
def _run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def test_it_comes_with_the_flag_and_goes_with_it(run: Run) -> None:
    run.sync()
    assert run.left == set()
    run.want(reboot=True)
    run.sync()
    assert run.required.read_text() == "*** System restart required ***\n"
    assert run.packages.read_text() == "tidegate\n"
    assert run.required.stat().st_mode & 0o777 == 0o644
    run.want(reboot=False)
    assert run.left == set()


def test_what_was_there_before_stays(run: Run) -> None:
    run.required.write_text("theirs\n")
    run.packages.write_text("linux-image-6.1.0\n")
    run.want(reboot=True)
    assert run.packages.read_text() == "linux-image-6.1.0\ntidegate\n"
    run.want(reboot=False)
    assert (run.required.read_text(), run.packages.read_text()) == ("theirs\n", "linux-image-6.1.0\n")
    assert run.left == {"reboot-required", "reboot-required.pkgs"}


def test_what_somebody_touched_without_a_name_stays(run: Run) -> None:
    run.required.touch()
    run.want(reboot=True)
    run.want(reboot=False)
    assert run.left == {"reboot-required"}


def test_a_package_that_came_later_keeps_it(run: Run) -> None:
    run.want(reboot=True)
    with run.packages.open("a") as packages:
        packages.write("linux-image-6.1.0\n")
    run.want(reboot=False)
    assert run.packages.read_text() == "linux-image-6.1.0\n"
    assert run.left == {"reboot-required", "reboot-required.pkgs"}
    run.want(reboot=True)
    run.want(reboot=False)
    assert run.left == {"reboot-required", "reboot-required.pkgs"}, "it is theirs now"


def test_a_package_whose_name_begins_like_ours_is_another(run: Run) -> None:
    run.packages.write_text("tidegate-tools\nmy.tidegate\n")
    run.want(reboot=True)
    assert run.packages.read_text() == "tidegate-tools\nmy.tidegate\ntidegate\n"
    run.want(reboot=False)
    assert run.packages.read_text() == "tidegate-tools\nmy.tidegate\n"


def test_nothing_of_what_the_agent_wrote_is_read_or_followed(run: Run, tmp_path: Path) -> None:
    precious = tmp_path.parent / "precious"
    precious.write_text("precious")
    run.flag.symlink_to(precious)
    run.sync()
    assert precious.read_text() == "precious"
    assert "precious" not in run.required.read_text()
