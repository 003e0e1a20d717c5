"""What a newcomer sees first: the demo, started as its script starts it, on a whole host and on a scratch sysroot."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from contrib.demo import demo, scratch
from contrib.demo.narration import Narrator
from tests.e2e.conftest import CHECKOUT
from tests.e2e.lab.debian import BaseHost

DEMO_SECS = 300.0


def run_demo(kind: str) -> subprocess.CompletedProcess[str]:
    """Play the story to its end."""
    command = [sys.executable, "contrib/demo/demo.py", kind]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=DEMO_SECS, check=False)


def assert_tells(done: subprocess.CompletedProcess[str], *in_order: str) -> None:
    """It ended well and said all of this, one after the other, with nothing to complain about."""
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    rest = done.stdout
    for said in in_order:
        _, found, rest = rest.partition(said)
        assert found, f"{said!r} is not told in its place:\n{done.stdout}"


@pytest.mark.root
@pytest.mark.host
def test_a_host_goes_to_release_2_before_your_eyes(base: BaseHost) -> None:
    assert_tells(
        run_demo(base.suite),
        "Welcome to release 1.",
        "# tidegate check",
        "tidegate: staged 2",
        "systemd-logind: System is rebooting",
        "boot loader: boot 2",
        "tidegate: 2 is applied: verified",
        "Welcome to release 2.",
        "1 -> 2",
        "* debian",
    )


@pytest.mark.skipif(shutil.which("ostree") is None, reason="needs ostree installed")
def test_a_scratch_sysroot_tells_the_same_story() -> None:
    assert_tells(
        run_demo("scratch"),
        "Booted:   1.0",
        "tidegate: staged 2.0",
        "tidegate: the host goes down, next: 2.0",
        "tidegate: 2.0 is applied: verified",
        "Booted:   2.0",
        "1.0 -> 2.0: applied",
    )


def test_a_host_that_does_not_boot_is_one_sentence_and_the_scratch_story_follows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_boot(*_: object) -> int:
        raise demo.CannotBootError("Failed to mount cgroup hierarchies")

    played: list[Narrator] = []

    def play(narrator: Narrator) -> int:
        played.append(narrator)
        return 0

    monkeypatch.setattr(demo, "can_run", lambda: None)
    monkeypatch.setattr(demo, "_play", no_boot)
    monkeypatch.setattr(scratch, "play", play)
    assert demo.main([]) == 0
    assert len(played) == 1
    assert capsys.readouterr().out == (
        "No host can be booted in a container here: Failed to mount cgroup hierarchies\n"
    )


def test_what_it_cannot_show_is_a_usage_error() -> None:
    done = run_demo("buster")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "usage: run.sh [bookworm|trixie|scratch]\n"
