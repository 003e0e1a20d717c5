"""The newest release on the engine's remote, and that the query leaves nothing behind on the host."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.flaky_server import Fault, FlakyServer, Kind, serve
from tests.integration.ostree.drive import QUICK, report
from tests.integration.ostree.keys import Keys
from tests.integration.ostree.pretend_host import Answer, PretendHost
from tests.integration.ostree.tiny_os import REF, REMOTE, Published, Repository, Sysroot
from tidegate.engines.ostree import Limits, OstreeEngine
from tidegate.release import Release

pytestmark = pytest.mark.root

CONTENT = r"\.(filez|dirtree|dirmeta)$|/deltas/"
FOUR_KIB = 4096


def latest(sysroot: Sysroot, limits: Limits = QUICK) -> Answer:
    """What the engine answers."""
    return Answer(**asyncio.run(report(OstreeEngine.for_scratch(sysroot.path, limits=limits), "latest", "")))


def newest(sysroot: Sysroot) -> str:
    """The payload of the newest release, which must be told."""
    answer = latest(sysroot)
    assert answer.kind is None, answer.message
    return str(answer.result["newest"][1])


def age_of(day: int) -> int:
    """The age index of a release of that day; see :meth:`Repository.commit`."""
    return int(datetime(2026, 1, day, tzinfo=UTC).timestamp())


def traces(sysroot: Sysroot) -> set[tuple[str, int]]:
    """Every file of the host's repository."""
    return {(str(path), path.stat().st_mtime_ns) for path in sysroot.repo.rglob("*") if path.is_file()}


@contextmanager
def following(repository: Repository, folder: Path, *remote_options: str) -> Generator[tuple[Sysroot, FlakyServer]]:
    """A host that runs the newest release of ``repository``, and the server that it follows."""
    with serve(repository.path) as server:
        sysroot = Sysroot.create(folder, server.url, *remote_options)
        sysroot.install((repository.path / "refs/heads" / REF).read_text(encoding="ascii").strip())
        yield sysroot, server
        sysroot.loosen()


def test_the_newest_release_is_told_and_nothing_of_it_is_fetched_or_kept(
    sysroot: Sysroot, published: Published, server: FlakyServer
) -> None:
    before = traces(sysroot)
    told: Any = latest(sysroot).result
    assert told["booted"] == ["1.0", published.v1, age_of(1)]
    assert told["newest"] == ["3.0", published.v3, age_of(3)]
    assert told["end_of_life"] is None
    assert server.paths(CONTENT) == []
    assert server.sent_bytes < FOUR_KIB
    assert traces(sysroot) == before
    assert sysroot.local_ref() == published.v1


def test_a_host_on_the_newest_is_told_so(tmp_path: Path) -> None:
    repository = Repository.create(tmp_path / "repo")
    v1 = repository.commit("1.0")
    with following(repository, tmp_path / "sysroot") as (sysroot, _):
        told: Any = latest(sysroot).result
        assert told["newest"] == told["booted"] == ["1.0", v1, age_of(1)]


def test_a_staged_release_is_still_here_in_whole_after_a_look(
    sysroot: Sysroot, published: Published, server: FlakyServer
) -> None:
    engine = OstreeEngine.for_scratch(sysroot.path, limits=QUICK)

    async def stage_look_and_stage() -> None:
        await engine.stage(Release("2.0", published.v2), lambda _: None)
        assert (await engine.latest()).newest.payload == published.v3
        server.forget()
        await engine.stage(Release("2.0", published.v2), lambda _: None)

    asyncio.run(stage_look_and_stage())
    assert server.hits == []
    assert sysroot.local_ref() == published.v2


def test_a_booted_host_with_a_read_only_sysroot_may_look(host: PretendHost, published: Published) -> None:
    with host.boot(read_only=True) as boot:
        answer = boot.engine("latest")
        assert answer.kind is None, answer.message
        assert answer.result["newest"][1] == published.v3
        assert "tidegate-latest" not in boot.run("ls", "/tmp")


def test_a_remote_without_a_summary_is_asked_for_the_branch_itself(tmp_path: Path) -> None:
    repository = Repository.create(tmp_path / "repo")
    repository.commit("1.0")
    with following(repository, tmp_path / "sysroot") as (sysroot, server):
        v2 = repository.commit("2.0")
        (repository.path / "summary").unlink()
        assert newest(sysroot) == v2
        assert server.paths(f"/refs/heads/{REF}$")


def test_a_branch_that_was_set_back_is_older(tmp_path: Path) -> None:
    repository = Repository.create(tmp_path / "repo")
    v1 = repository.commit("1.0")
    v2 = repository.commit("2.0")
    with following(repository, tmp_path / "sysroot") as (sysroot, _):
        repository.point_branch_to(v1)
        told: Any = latest(sysroot).result
        assert (told["booted"][1:], told["newest"][1:]) == ([v2, age_of(2)], [v1, age_of(1)])


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("use demo/next", "use demo/next"),
        ("it's over", "it's over"),
        ("a\nb\x1b[31m", r"a\nb\u001b[31m"),  # as GLib spells what is not printable
        ("", "no reason given"),
    ],
)
def test_the_end_of_a_branch_is_told_with_its_reason(tmp_path: Path, reason: str, told: str) -> None:
    repository = Repository.create(tmp_path / "repo")
    repository.commit("1.0")
    with following(repository, tmp_path / "sysroot") as (sysroot, _):
        repository.commit("2.0", f"--add-metadata-string=ostree.endoflife={reason}")
        assert latest(sysroot).result["end_of_life"] == told


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--add-metadata-string=version=2.0 'beta'", "2.0 'beta'"),
        ("--add-metadata-string=version=2\x1b[31m\n", r"2\u001b[31m\n"),
        (f"--add-metadata-string=version={'x' * 300}", f"{'x' * 97}..."),
    ],
)
def test_a_version_is_for_people(tmp_path: Path, option: str, told: str) -> None:
    repository = Repository.create(tmp_path / "repo")
    repository.commit("1.0")
    with following(repository, tmp_path / "sysroot") as (sysroot, _):
        repository.commit("2.0", option)
        assert latest(sysroot).result["newest"][0] == told


# --------------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(
    ("fault", "pattern", "kind", "words"),
    [
        (Kind.UNAVAILABLE, r"\.commit$", "engine.remote-down", "HTTP 503"),
        (Kind.CUT, r"\.commit$", "engine.remote-down", "newest release of demo/x86_64/stable"),
        (Kind.MISSING, r"\.commit$", "engine.unknown-release", "HTTP 404"),
        (Kind.ROT, r"\.commit$", "engine.corrupt", "checksum"),
    ],
)
def test_a_remote_that_fails_is_told_and_nothing_has_changed(
    sysroot: Sysroot, server: FlakyServer, fault: Kind, pattern: str, kind: str, words: str
) -> None:
    before = traces(sysroot)
    server.faults.append(Fault(fault, pattern))
    answer = latest(sysroot)
    assert (answer.kind, words in answer.message) == (kind, True), answer.message
    assert answer.remedy
    assert traces(sysroot) == before


def test_a_remote_that_is_off(sysroot: Sysroot) -> None:
    sysroot.configure(f'remote "{REMOTE}".url', "http://127.0.0.1:9")
    assert latest(sysroot).kind == "engine.remote-down"


def test_a_remote_that_hangs_is_given_up_in_time(sysroot: Sysroot, server: FlakyServer) -> None:
    server.faults.append(Fault(Kind.HANG, r"\.commit$"))
    answer = latest(sysroot, dataclasses.replace(QUICK, latest_secs=1))
    assert answer.kind == "engine.timeout"
    assert "took longer than 1 s" in answer.message


def test_a_branch_that_the_remote_does_not_have(tmp_path: Path) -> None:
    repository = Repository.create(tmp_path / "repo")
    repository.commit("1.0")
    with following(repository, tmp_path / "sysroot") as (sysroot, _):
        repository.drop_branch()
        answer = latest(sysroot)
        assert answer.kind == "engine.unknown-release"
        assert f"No such branch '{REF}'" in answer.message


def test_a_host_that_follows_no_branch_is_told_how_to(sysroot: Sysroot, published: Published) -> None:
    (origin,) = sysroot.path.glob("ostree/deploy/demo/deploy/*.origin")
    origin.write_text(f"[origin]\nrefspec={published.v1}\n", encoding="ascii")
    answer = latest(sysroot)
    assert (answer.kind, "set-origin" in answer.remedy) == ("engine.unsupported-host", True)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("summary", b"<html>please log in</html>"),
        ("summary", bytes(64)),
        ("summary", bytes(11 * 1024 * 1024)),
        (f"refs/heads/{REF}", b"<html>please log in</html>"),
        (f"refs/heads/{REF}", bytes(11 * 1024 * 1024)),
    ],
    ids=["a page as summary", "an empty summary", "a huge summary", "a page as ref", "a huge ref"],
)
def test_nonsense_is_never_a_release(tmp_path: Path, file: str, content: bytes) -> None:
    repository = Repository.create(tmp_path / "repo")
    repository.commit("1.0")
    with following(repository, tmp_path / "sysroot") as (sysroot, _):
        (repository.path / "summary").unlink()
        (repository.path / file).write_bytes(content)
        answer = latest(sysroot)
        assert answer.kind in {"engine.corrupt", "engine.unknown-release"}, answer.message


# --------------------------------------------------------------------------- who may say so


def test_a_signature_is_asked_for_where_the_remote_says_so(tmp_path: Path, keys: Keys) -> None:
    repository = Repository.create(tmp_path / "repo")
    repository.commit("1.0", *keys.sign_options(keys.trusted))
    trust = ("--set=gpg-verify=true", f"--gpg-import={keys.trusted_file}")
    with following(repository, tmp_path / "sysroot", *trust) as (sysroot, _):
        for signed in (keys.sign_options(keys.other), ()):
            repository.commit("2.0", *signed)
            assert latest(sysroot).kind == "engine.bad-signature"
        v3 = repository.commit("3.0", *keys.sign_options(keys.trusted))
        assert newest(sysroot) == v3


def test_a_summary_is_verified_where_the_remote_says_so(tmp_path: Path, keys: Keys) -> None:
    repository = Repository.create(tmp_path / "repo")
    trusted = keys.sign_options(keys.trusted)
    repository.commit("1.0")
    repository.refresh_summary(*trusted)
    trust = ("--set=gpg-verify=false", "--set=gpg-verify-summary=true", f"--gpg-import={keys.trusted_file}")
    with following(repository, tmp_path / "sysroot", *trust) as (sysroot, _):
        v2 = repository.commit("2.0")
        (repository.path / "summary.sig").unlink(missing_ok=True)
        assert latest(sysroot).kind == "engine.bad-signature"
        repository.refresh_summary(*keys.sign_options(keys.other))
        assert latest(sysroot).kind == "engine.bad-signature"
        (repository.path / "summary.sig").unlink()
        repository.refresh_summary(*trusted)
        assert newest(sysroot) == v2


def test_a_signed_release_of_another_branch_is_not_this_hosts(tmp_path: Path, keys: Keys) -> None:
    repository = Repository.create(tmp_path / "repo")
    trusted = keys.sign_options(keys.trusted)
    repository.commit("1.0", *trusted)
    other = repository.commit("2.0", "--branch=demo/other", *trusted)
    trust = ("--set=gpg-verify=true", f"--gpg-import={keys.trusted_file}")
    with following(repository, tmp_path / "sysroot", *trust) as (sysroot, _):
        repository.point_branch_to(other)
        answer = latest(sysroot)
        assert (answer.kind, "ref binding" in answer.message) == ("engine.unknown-release", True)
