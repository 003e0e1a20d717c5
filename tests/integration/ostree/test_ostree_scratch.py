"""The engine on a sysroot in a folder: downloads that fail in every way, and the state of the host after them."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.flaky_server import Fault, FlakyServer, Kind, serve
from tests.integration.ostree.drive import QUICK, report
from tests.integration.ostree.keys import Keys
from tests.integration.ostree.pretend_host import Answer
from tests.integration.ostree.tiny_os import REF, REMOTE, Published, Repository, Sysroot, run
from tidegate.engines.base import Progress
from tidegate.engines.ostree import Limits, OstreeCli, OstreeEngine, ScratchSysroot
from tidegate.engines.ostree.pull import OBJECT_FOLDERS
from tidegate.errors import ErrorKind, TidegateError
from tidegate.release import Release

pytestmark = pytest.mark.root

OBJECT = r"\.filez$"
DELTA_PART = r"/deltas/.*/0$"


@dataclass(slots=True)
class Bench:
    """An engine whose pauses are written down instead of waited for; each verb is one run of an event loop."""

    sysroot: Sysroot
    limits: Limits = QUICK
    booted: str | None = None
    pauses: list[float] = field(default_factory=list[float])

    def engine(self) -> OstreeEngine:
        """A new engine: as after a boot, or in another process."""
        place = ScratchSysroot(OstreeCli(self.sysroot.path, self.limits), self.booted)
        return OstreeEngine(place, sleep=self._sleep, jitter=lambda: 1.0)

    def verb(self, verb: str, payload: str = "") -> Answer:
        """Run one verb."""
        return Answer(**asyncio.run(report(self.engine(), verb, payload)))

    def state(self) -> tuple[str, str | None, list[str]]:
        """Booted, staged, entries in boot order."""
        seen: Any = self.verb("status").result
        staged = seen["staged"] and seen["staged"]["payload"]
        return seen["booted"]["payload"], staged, [entry["payload"] for entry in seen["entries"]]

    async def _sleep(self, secs: float) -> None:
        self.pauses.append(secs)


@pytest.fixture
def bench(sysroot: Sysroot) -> Bench:
    """On the sysroot with the first release."""
    return Bench(sysroot)


def unharmed(bench: Bench, published: Published) -> bool:
    """Nothing that a boot or the next update uses has changed."""
    return bench.state() == (published.v1, None, [published.v1]) and bench.sysroot.local_ref() == published.v1


def test_the_verbs_in_turn(bench: Bench, published: Published) -> None:
    v1, v2 = published.v1, published.v2
    assert bench.state() == (v1, None, [v1])
    assert bench.verb("stage", v2).steps == ["metadata", "stage"]
    assert bench.state() == (v1, v2, [v1])
    bench.booted = v1
    assert bench.verb("arm", published.v3).kind == "engine.not-staged"
    for _ in range(2):
        assert bench.verb("arm", v2).kind is None
        assert bench.state() == (v1, None, [v2, v1])
    for _ in range(2):
        assert bench.verb("disarm", v2).kind is None
        assert bench.state() == (v1, v2, [v1])
    assert bench.verb("arm", v2).kind is None
    bench.booted = v2
    assert bench.verb("disarm", v2).kind is None  # it is booted: nothing to take back
    assert bench.state() == (v2, None, [v2, v1])
    for _ in range(2):
        assert bench.verb("rollback", published.v3).kind == "engine.no-rollback"
        assert bench.verb("rollback", v1).kind is None
        assert bench.state() == (v2, None, [v1, v2])
    bench.booted = v1
    assert bench.verb("prune_rollback").kind is None
    assert bench.state() == (v1, v2, [v1])
    assert bench.verb("discard", v2).kind is None
    assert unharmed(bench, published)
    assert not bench.sysroot.has_commit(v2)


def test_one_object_is_one_boot(bench: Bench, published: Published) -> None:
    bench.verb("stage", published.v2)
    engine = bench.engine()

    async def arm() -> str:
        await engine.status()
        await engine.arm(published.v2)
        return (await engine.status()).booted.payload

    assert asyncio.run(arm()) == published.v1
    assert bench.state()[0] == published.v2


def test_the_metadata_comes_first_and_the_delta_alone_is_fetched(
    bench: Bench, published: Published, server: FlakyServer
) -> None:
    assert bench.verb("stage", published.v2).kind is None
    assert not server.paths(OBJECT)
    assert len(server.paths(DELTA_PART)) == 1
    assert server.sent_bytes < published.delta_part.stat().st_size + 10_000


def test_what_is_here_is_not_fetched_again(bench: Bench, published: Published, server: FlakyServer) -> None:
    bench.verb("stage", published.v2)
    server.forget()
    assert bench.verb("stage", published.v2).kind is None
    assert bench.verb("stage", published.v1).kind is None
    assert server.hits == []


@pytest.mark.parametrize("kind", [Kind.CUT, Kind.UNAVAILABLE])
@pytest.mark.parametrize("pattern", [OBJECT, r"\.commit$"], ids=["content", "metadata"])
def test_passing_troubles_are_survived(
    bench: Bench, published: Published, server: FlakyServer, kind: Kind, pattern: str
) -> None:
    server.faults.append(Fault(kind, pattern, times=2))
    assert bench.verb("stage", published.v3).kind is None
    assert bench.state()[1] == published.v3


def test_a_server_that_stays_away_is_given_up(bench: Bench, published: Published, server: FlakyServer) -> None:
    server.faults.append(Fault(Kind.UNAVAILABLE, OBJECT))
    answer = bench.verb("stage", published.v3)
    assert answer.kind == "engine.remote-down"
    assert "gave up after 3 consecutive failures" in answer.message
    assert len(bench.pauses) >= 2
    assert unharmed(bench, published)


def test_a_server_that_is_off(bench: Bench, published: Published) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    bench.sysroot.configure(f'remote "{REMOTE}".url', f"http://127.0.0.1:{port}")
    assert bench.verb("stage", published.v2).kind == "engine.remote-down"
    assert bench.pauses == [QUICK.backoff_secs(failures, 1.0) for failures in (1, 2)]
    assert unharmed(bench, published)


def test_a_server_that_hangs_is_left_and_tried_again(bench: Bench, published: Published, server: FlakyServer) -> None:
    bench.limits = dataclasses.replace(QUICK, silence_secs=1)
    server.faults.append(Fault(Kind.HANG, DELTA_PART, times=1))
    assert bench.verb("stage", published.v2).kind is None
    assert len(bench.pauses) == 1


def test_a_staging_has_a_total_deadline(bench: Bench, published: Published, server: FlakyServer) -> None:
    bench.limits = dataclasses.replace(QUICK, stage_secs=1)
    server.faults.append(Fault(Kind.HANG, DELTA_PART))
    answer = bench.verb("stage", published.v2)
    assert answer.kind == "engine.timeout"
    assert "took longer than 1 s" in answer.message
    assert pulls_of(bench.sysroot) == []
    server.forget()
    assert unharmed(bench, published)


def pulls_of(sysroot: Sysroot) -> list[str]:
    """The pulls that run on a sysroot now."""
    lines = [_command_line(path) for path in Path("/proc").glob("[0-9]*/cmdline")]
    return [line for line in lines if line.startswith("ostree pull") and str(sysroot.path) in line]


def _command_line(path: Path) -> str:
    try:
        return path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:  # it has ended meanwhile
        return ""


@pytest.mark.parametrize("fsync", ["true", "false"])
def test_a_killed_pull_goes_on_where_it_was(
    bench: Bench, published: Published, server: FlakyServer, fsync: str
) -> None:
    bench.sysroot.configure("core.fsync", fsync)
    server.faults.append(Fault(Kind.HOLD, OBJECT, times=1))

    present = len(files_of(bench.sysroot))

    async def stage_and_be_killed() -> None:
        task = asyncio.create_task(bench.engine().stage(Release("3.0", published.v3), lambda _: None))
        await asyncio.to_thread(server.held.wait)
        await asyncio.to_thread(_others_have_arrived, bench.sysroot, present)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(stage_and_be_killed())
    assert pulls_of(bench.sysroot) == []
    before = set(server.paths(OBJECT))
    server.forget()
    assert bench.verb("stage", published.v3).kind is None
    again = set(server.paths(OBJECT))
    assert before - again, "nothing of what had arrived is fetched again"
    assert len(before & again) <= 1 + PARALLEL


def files_of(sysroot: Sysroot) -> list[Path]:
    """The content objects that are here."""
    return [path for folder in OBJECT_FOLDERS for path in sysroot.repo.glob(folder) if path.suffix == ".file"]


# libostree's own limit of downloads at a time: what was under way at the kill starts anew.
PARALLEL = 8

PATIENCE_SECS = 60


def _others_have_arrived(sysroot: Sysroot, present: int) -> None:
    """Wait until more objects than were ``present`` lie in the store or its staging folder, while one is held."""
    for _ in range(PATIENCE_SECS * 100):
        if len(files_of(sysroot)) >= present + 4:
            return
        time.sleep(0.01)
    raise AssertionError("no object arrived")


@pytest.mark.parametrize("kind", [Kind.ROT, Kind.MISSING])
def test_a_broken_delta_is_gone_round(bench: Bench, published: Published, server: FlakyServer, kind: Kind) -> None:
    server.faults.append(Fault(kind, DELTA_PART))
    assert bench.verb("stage", published.v2).kind is None
    assert server.paths(OBJECT)
    run("ostree", "fsck", f"--repo={bench.sysroot.repo}", "--quiet")


def test_a_corrupt_object_is_refused(bench: Bench, published: Published, server: FlakyServer) -> None:
    server.faults.append(Fault(Kind.ROT, OBJECT))
    assert bench.verb("stage", published.v3).kind == "engine.corrupt"
    assert unharmed(bench, published)


def test_an_object_that_the_server_lost(bench: Bench, published: Published, server: FlakyServer) -> None:
    server.faults.append(Fault(Kind.MISSING, OBJECT))
    answer = bench.verb("stage", published.v3)
    assert answer.kind == "engine.corrupt"
    assert "not all of its objects" in answer.message
    assert unharmed(bench, published)


def test_an_unknown_commit(bench: Bench, published: Published) -> None:
    answer = bench.verb("stage", "0" * 64)
    assert answer.kind == "engine.unknown-release"
    assert "0" * 64 in answer.message
    assert bench.pauses == []
    assert unharmed(bench, published)


def test_a_payload_that_is_no_checksum(bench: Bench, published: Published) -> None:
    assert bench.verb("stage", "--help").kind == "engine.bad-argument"
    assert unharmed(bench, published)


def test_one_verb_at_a_time(bench: Bench, published: Published, server: FlakyServer) -> None:
    server.faults.append(Fault(Kind.HOLD, DELTA_PART, times=1))

    async def stage_and_discard() -> None:
        engine = bench.engine()
        staging = asyncio.create_task(engine.stage(Release("2.0", published.v2), lambda _: None))
        await asyncio.to_thread(server.held.wait)
        with pytest.raises(TidegateError, match="stage is under way") as caught:
            await engine.discard(published.v2)
        assert caught.value.kind is ErrorKind.ENGINE_BUSY
        assert (await engine.status()).booted.payload == published.v1
        server.released.set()
        await staging

    asyncio.run(stage_and_discard())


def test_progress_tells_how_far_a_download_is(bench: Bench, published: Published, server: FlakyServer) -> None:
    shown: list[Progress] = []
    server.faults.append(Fault(Kind.HOLD, DELTA_PART, times=1))

    async def stage() -> None:
        staging = asyncio.create_task(bench.engine().stage(Release("2.0", published.v2), shown.append))
        await asyncio.to_thread(server.held.wait)
        while not any(step.step == "download" for step in shown):
            await asyncio.wait({staging}, timeout=0.05)
        server.released.set()
        await staging

    asyncio.run(stage())
    first = next(step for step in shown if step.step == "download")
    assert first.fraction is not None
    assert 0 <= first.fraction < 1


@pytest.fixture
def small_disk(tmp_path: Path, _able: None) -> Generator[Path]:
    """A file system that one tiny release fits on, and not two."""
    disk = tmp_path / "disk"
    disk.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", disk)
    yield disk
    run("umount", disk)


def fill(path: Path, url: str, checksum: str) -> Sysroot:
    """A sysroot with a release, whose disk may be used to the last byte."""
    sysroot = Sysroot.create(path, url)
    sysroot.configure("core.min-free-space-percent", "0")
    sysroot.install(checksum)
    return sysroot


def test_a_release_that_does_not_fit_is_refused_with_numbers(
    small_disk: Path, published: Published, server: FlakyServer
) -> None:
    bench = Bench(fill(small_disk / "sysroot", server.url, published.v1))
    server.forget()
    answer = bench.verb("stage", published.v2)
    assert answer.kind == "engine.no-space"
    assert "kB free space, but only" in answer.message
    assert not server.paths(DELTA_PART)  # known before it is fetched
    assert unharmed(bench, published)


def test_a_disk_that_fills_up_on_the_way(small_disk: Path, published: Published, server: FlakyServer) -> None:
    bench = Bench(fill(small_disk / "sysroot", server.url, published.v1))
    answer = bench.verb("stage", published.v3)  # neither sizes nor a delta announce what it needs
    assert answer.kind == "engine.no-space"
    assert "ostree admin undeploy" in answer.remedy
    assert unharmed(bench, published)


def test_sizes_in_the_commit_are_believed(tmp_path: Path, small_disk: Path, published: Published) -> None:
    repository = Repository.create(tmp_path / "repo")
    v1, v2 = repository.commit("1.0"), repository.commit("2.0", "--generate-sizes")
    with serve(repository.path) as server:
        bench = Bench(fill(small_disk / "sysroot", server.url, v1))
        server.forget()
        answer = bench.verb("stage", v2)
        assert answer.kind == "engine.no-space"
        assert "the release needs 1" in answer.message
        assert [Path(hit.path).suffix for hit in server.hits] == [".commitmeta", ".commit"]


def test_signatures_are_asked_for(tmp_path: Path, keys: Keys) -> None:
    repository = Repository.create(tmp_path / "repo")
    signed = keys.sign_options(keys.trusted)
    v1, v2 = repository.commit("1.0", *signed), repository.commit("2.0", *signed)
    stranger = repository.commit("3.0", *keys.sign_options(keys.other))
    unsigned = repository.commit("4.0")
    trust = ("--set=gpg-verify=true", f"--gpg-import={keys.trusted_file}")
    with serve(repository.path) as server:
        sysroot = Sysroot.create(tmp_path / "sysroot", server.url, *trust)
        sysroot.install(v1)
        bench = Bench(sysroot)
        for payload in (stranger, unsigned):
            answer = bench.verb("stage", payload)
            assert answer.kind == "engine.bad-signature"
            assert bench.state() == (v1, None, [v1])
        assert not server.paths(OBJECT + ".*never")
        assert bench.verb("stage", v2).kind is None
        assert bench.state()[1] == v2
        sysroot.loosen()


def test_a_release_of_another_branch_is_not_this_hosts(tmp_path: Path, published: Published) -> None:
    repository = Repository.create(tmp_path / "repo")
    v1 = repository.commit("1.0")
    other = repository.commit("2.0", "--branch=demo/other")
    with serve(repository.path) as server:
        sysroot = Sysroot.create(tmp_path / "sysroot", server.url)
        sysroot.install(v1)
        bench = Bench(sysroot)
        assert bench.verb("stage", other).kind == "engine.unknown-release"
        assert bench.state() == (v1, None, [v1])
        sysroot.loosen()


def test_a_host_that_follows_no_branch(bench: Bench, published: Published) -> None:
    (origin,) = bench.sysroot.path.glob("ostree/deploy/demo/deploy/*.origin")
    origin.write_text(f"[origin]\nrefspec={published.v1}\n", encoding="ascii")
    answer = bench.verb("stage", published.v2)
    assert answer.kind == "engine.unsupported-host"
    assert "set-origin" in answer.remedy


def test_a_sysroot_without_a_deployment(tmp_path: Path, server: FlakyServer) -> None:
    bench = Bench(Sysroot.create(tmp_path / "empty", server.url))
    answer = bench.verb("status")
    assert answer.kind == "engine.unsupported-host"
    assert "no deployment" in answer.message


def test_the_ref_survives_as_the_remote_s(bench: Bench, published: Published) -> None:
    bench.verb("stage", published.v2)
    bench.verb("arm", published.v2)
    assert f"origin refspec: {REMOTE}:{REF}" in bench.sysroot.status()
    assert published.v1 not in (bench.sysroot.local_ref() or "")
