"""A snippet names programs that root runs: only root may be able to write it, or a folder on the way to it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from tidegate import settings as settings_module
from tidegate.cli.entry import cli
from tidegate.config.layers import OnlyRoots
from tidegate.doctor import run as doctor_run
from tidegate.errors import TidegateError
from tidegate.health.check import CheckResult
from tidegate.helper.checks import RootChecks
from tidegate.helper.transient import Job
from tidegate.settings import Loaded, load
from tidegate.system.boot import BootInstance

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to other users")
pytestmark = root_only

NOBODY = 65534
SNIPPET = '[[health.command]]\nname = "pwn"\ncommand = ["/bin/true"]\nuser = "root"\n'


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's folder of snippets, with one in it."""
    folder = tmp_path / "etc/config.d"
    folder.mkdir(parents=True)
    (folder / "70-x.toml").write_text(SNIPPET)
    (folder / "70-x.toml").chmod(0o644)
    for place in ("tidegate.settings.DEFAULT_ROOTS", "tidegate.doctor.run.DEFAULT_ROOTS"):
        monkeypatch.setattr(place, (folder,))
    return folder


def spoil(folder: Path, how: str) -> None:
    snippet = folder / "70-x.toml"
    match how:
        case "another's":
            os.chown(snippet, NOBODY, 0)
        case "for all to write":
            snippet.chmod(0o666)
        case "for a group to write":
            os.chown(snippet, 0, NOBODY)
            snippet.chmod(0o664)
        case "an empty one of another's":
            snippet.write_text("")
            os.chown(snippet, NOBODY, 0)
        case "a folder for all to write":
            folder.chmod(0o777)
        case "a folder above of another's":
            os.chown(folder.parent, NOBODY, 0)
        case "a link out of the folder":
            elsewhere = folder.parents[1] / "home"
            elsewhere.mkdir()
            os.chown(elsewhere, NOBODY, 0)
            snippet.rename(elsewhere / "x.toml")
            snippet.symlink_to(elsewhere / "x.toml")
        case _:
            raise AssertionError(how)


WAYS = (
    "another's",
    "for all to write",
    "for a group to write",
    "an empty one of another's",
    "a folder for all to write",
    "a folder above of another's",
    "a link out of the folder",
)


def loaded() -> Loaded:
    return load(settings_module.DEFAULT_ROOTS)


def test_a_snippet_of_roots_is_read(folder: Path) -> None:
    assert loaded().problems == ()
    (folder / "80-mask.toml").symlink_to("/dev/null")
    assert loaded().problems == ()


@pytest.mark.parametrize("how", WAYS)
def test_a_snippet_that_others_can_write_is_a_problem_of_config_check_and_doctor(folder: Path, how: str) -> None:
    spoil(folder, how)
    (problem,) = loaded().problems
    assert problem.file == str(folder / "70-x.toml")
    assert "so it is not read" in problem.message
    assert problem.remedy
    assert doctor_run.read_host().problems == (problem,)
    done = CliRunner().invoke(cli, ["config", "check"])
    assert done.exit_code == 1
    assert problem.message in done.output


@pytest.mark.parametrize("how", WAYS)
def test_the_helper_runs_no_command_of_a_snippet_that_others_can_write(folder: Path, tmp_path: Path, how: str) -> None:
    spoil(folder, how)
    ran: list[str] = []

    async def boot() -> BootInstance:
        return BootInstance("b")

    async def run_job(job: Job) -> CheckResult:
        ran.append(job.name)
        return CheckResult(passed=True, detail="")

    checks = RootChecks(boot, config_roots=(folder,), root=tmp_path / "nothing", run_job=run_job)
    with pytest.raises(TidegateError, match="there is no check 'command/pwn'"):
        asyncio.run(checks.run("command/pwn"))
    assert ran == []


def test_a_folder_that_the_caller_names_is_read_whoever_owns_it(tmp_path: Path) -> None:
    (tmp_path / "draft.toml").write_text(SNIPPET)
    os.chown(tmp_path / "draft.toml", NOBODY, NOBODY)
    assert load((tmp_path,)).problems == ()


def test_the_owner_that_counts_is_that_of_the_file_that_was_opened(folder: Path) -> None:
    seen: list[int] = []
    only_roots = OnlyRoots()

    def why_not(path: Path, status: os.stat_result) -> str | None:
        seen.append(status.st_ino)
        return only_roots.why_not(path, status)

    assert load((folder,), why_not=why_not).problems == ()
    assert seen == [(folder / "70-x.toml").stat().st_ino]
