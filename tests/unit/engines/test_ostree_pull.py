"""Retries and back-off of a download, without a network; progress from the output on a terminal."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest

from tidegate.engines.base import Progress
from tidegate.engines.ostree.cli import OstreeCli
from tidegate.engines.ostree.errors import classify
from tidegate.engines.ostree.limits import Limits
from tidegate.engines.ostree.pull import Puller, read_progress
from tidegate.engines.ostree.source import Source
from tidegate.errors import ErrorKind, TidegateError
from tidegate.system.process import TextSink

SOURCE = Source("demo", "demo/x86_64/stable")
CHECKSUM = "a" * 64
LIMITS = Limits(attempts=3, backoff_base_secs=2, backoff_cap_secs=5)


@dataclass(frozen=True, slots=True)
class Turn:
    """How one pull ends: what ostree says, and whether objects came home before."""

    stderr: str = ""
    gains: bool = False


DONE = Turn()
DOWN = Turn("error: Server returned HTTP 503")
DOWN_WITH_GAIN = Turn(DOWN.stderr, gains=True)
CORRUPT = Turn("error: Data is corrupt")
MISSING = Turn("error: While fetching http://h/deltas/x/0: Server returned HTTP 404")
WRONG_BRANCH = Turn("error: Commit x: Commit has no requested ref \u2018a\u2019 in ref binding metadata")
DISK_FULL = Turn("error: fallocate: No space left on device")
UNSIGNED = Turn("error: Commit x: GPG verification enabled, but no signatures found")


class ScriptedCli(OstreeCli):
    """An ostree whose pulls end as written down."""

    def __init__(self, sysroot: Path, script: list[Turn]) -> None:
        super().__init__(sysroot, LIMITS)
        self.script = script
        self.pulls: list[tuple[str, ...]] = []

    async def pull(self, *arguments: str, doing: str, sink: TextSink) -> None:
        """Play the next turn."""
        self.pulls.append(arguments)
        turn = self.script.pop(0)
        if turn.gains:
            folder = self.repo_path / "tmp/staging-boot-x" / f"{len(self.pulls):02}"
            folder.mkdir(parents=True)
            (folder / "object").touch()
        if turn.stderr:
            raise classify(turn.stderr, doing)


class Bench:
    """A puller with its pauses written down."""

    def __init__(self, tmp_path: Path, script: list[Turn]) -> None:
        self.cli = ScriptedCli(tmp_path, script)
        self.pauses: list[float] = []
        self.puller = Puller(self.cli, self._sleep, lambda: 1.0)

    async def _sleep(self, secs: float) -> None:
        self.pauses.append(secs)

    def fetch(self) -> None:
        """Fetch the content."""
        asyncio.run(self.puller.fetch_content(SOURCE, CHECKSUM, lambda _: None))


def test_passing_troubles_are_tried_again_after_growing_pauses(tmp_path: Path) -> None:
    bench = Bench(tmp_path, [DOWN, DOWN, DONE])
    bench.fetch()
    assert bench.pauses == [2, 4]
    assert bench.cli.pulls == [("demo", f"demo/x86_64/stable@{CHECKSUM}")] * 3


def test_the_number_of_failures_in_a_row_is_bounded(tmp_path: Path) -> None:
    bench = Bench(tmp_path, [DOWN] * 9)
    with pytest.raises(TidegateError, match="gave up after 3 consecutive failures") as caught:
        bench.fetch()
    assert caught.value.kind is ErrorKind.ENGINE_REMOTE_DOWN
    assert len(bench.cli.pulls) == 3


def test_a_failure_that_brought_objects_home_starts_the_count_anew(tmp_path: Path) -> None:
    bench = Bench(tmp_path, [DOWN, DOWN, DOWN_WITH_GAIN, DOWN, DOWN_WITH_GAIN, DONE])
    bench.fetch()
    assert bench.pauses == [2, 4, 2, 4, 2]


@pytest.mark.parametrize("turn", [DISK_FULL, UNSIGNED, WRONG_BRANCH], ids=["full", "unsigned", "wrong branch"])
def test_what_does_not_pass_is_not_tried_again(tmp_path: Path, turn: Turn) -> None:
    bench = Bench(tmp_path, [turn])
    with pytest.raises(TidegateError):
        bench.fetch()
    assert bench.pauses == []


@pytest.mark.parametrize("turn", [CORRUPT, MISSING], ids=["corrupt", "missing"])
def test_a_broken_delta_is_gone_round_once(tmp_path: Path, turn: Turn) -> None:
    bench = Bench(tmp_path, [turn, DONE])
    bench.fetch()
    assert bench.cli.pulls[1] == ("--disable-static-deltas", "demo", f"demo/x86_64/stable@{CHECKSUM}")


def test_corrupt_without_deltas_too_is_final(tmp_path: Path) -> None:
    bench = Bench(tmp_path, [CORRUPT, CORRUPT])
    with pytest.raises(TidegateError) as caught:
        bench.fetch()
    assert caught.value.kind is ErrorKind.ENGINE_CORRUPT


def test_an_object_that_is_missing_is_the_servers_fault(tmp_path: Path) -> None:
    bench = Bench(tmp_path, [MISSING, MISSING])
    with pytest.raises(TidegateError, match="not all of its objects") as caught:
        bench.fetch()
    assert caught.value.kind is ErrorKind.ENGINE_CORRUPT


def test_metadata_is_asked_for_by_checksum_alone(tmp_path: Path) -> None:
    bench = Bench(tmp_path, [DONE])
    asyncio.run(bench.puller.fetch_metadata(SOURCE, CHECKSUM))
    assert bench.cli.pulls == [("--commit-metadata-only", "demo", CHECKSUM)]


def test_pauses_double_up_to_the_cap_and_are_spread() -> None:
    limits = Limits(backoff_base_secs=2, backoff_cap_secs=60)
    assert [limits.backoff_secs(failures, 1.0) for failures in (1, 2, 3, 6, 7)] == [2, 4, 8, 60, 60]
    assert limits.backoff_secs(3, 0.0) == 4


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (  # 2022.7
            "\x1b7\x1b8Receiving delta parts: 0/1 0 bytes/130.8\u00a0kB 66.6\u00a0kB/s 1 seconds remaining     \r\n",
            Progress("download", 0.0, 0),
        ),
        (
            "\x1b8Receiving delta parts: 1/2 1.2\u00a0MB/2.4\u00a0MB 66.6\u00a0kB/s 9 seconds remaining",
            Progress("download", 0.5, 1_200_000),
        ),
        (
            "\x1b8Receiving objects: 2% (1/9) 1.0\u00a0kB\x1b8Receiving objects: 97% (8/9) 5\u00a0MB/s 5.2\u00a0MB ",
            Progress("download", 0.97, 5_200_000),
        ),
        ("\x1b8Receiving metadata objects: 3/(estimating) -/s 0 bytes", Progress("download", None, 0)),
        ("\x1b7\x1b82 metadata, 0 content objects fetched; 0 bytes content written    \r\n", None),
        ("", None),
        ("\x1b8Receiving", Progress("download", None, 0)),
        ("\x1b8Etwas ganz anderes: 97%", None),
    ],
)  # fmt: skip
def test_what_a_terminal_showed(text: str, shown: Progress | None) -> None:
    assert read_progress(text) == shown
