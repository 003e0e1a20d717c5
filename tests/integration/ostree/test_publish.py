"""`tidegate publish` with the real OSTree and GnuPG: what hosts can pull, at every moment."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.lab.signing import UNSIGNED, Signer, new_signer
from tests.fakes.flaky_server import FlakyServer, serve
from tests.integration.ostree.drive import report
from tests.integration.ostree.tiny_os import CHECKOUT, REF, REMOTE, Repository, Sysroot, run
from tidegate.discovery.graph import parse_graph
from tidegate.engines.ostree import OstreeEngine
from tidegate.errors import ErrorKind, TidegateError
from tidegate.publish import apply, plan, publisher, staged_summary
from tidegate.publish.apply import locked
from tidegate.publish.gpg import Signing
from tidegate.publish.publisher import Planned, Request
from tidegate.publish.steps import DropDelta, MakeDelta, RefreshSummary, SignCommit, Step, WriteGraph

OBJECT = r"\.filez$"
DELTA = r"/deltas/"
VERIFY = ("--set=gpg-verify=true", "--set=gpg-verify-summary=true")
KILLS = 5


class Crashed(Exception):
    """The power went."""


@dataclass(frozen=True, slots=True)
class Site:
    """A build repository, what is served, and the graph beside it."""

    build: Repository
    served: Path
    graph: Path
    signing: Signing

    def request(self, **more: object) -> Request:
        """A release to be published: whatever the branch leads to, with a delta from the one before."""
        request = Request(self.served, REF, self.graph, self.signing, source=self.build.path, delta_count=1)
        return dataclasses.replace(request, **more)  # type: ignore[arg-type]  # as given

    def publish(self, **more: object) -> Planned:
        """Publish it."""
        return asyncio.run(publisher.publish(self.request(**more), lambda _: None))

    def publish_until(self, crash_at: int) -> bool:
        """Publish until the power goes, before step ``crash_at``; whether it did."""
        done: list[Step] = []

        def told(step: Step) -> None:
            if len(done) == crash_at:
                raise Crashed
            done.append(step)

        try:
            asyncio.run(publisher.publish(self.request(), told))
        except Crashed:
            return True
        return False

    def copy(self, folder: Path) -> Site:
        """The same elsewhere, to be spoiled."""
        run("cp", "-a", self.served.parent, folder)
        return dataclasses.replace(self, served=folder / "repo", graph=folder / "graph.json")

    def fingerprint(self) -> Mapping[str, tuple[str, int]]:
        """Every file, with its content and when it was written."""
        files = [path for path in self.served.parent.rglob("*") if path.is_file()]
        return {str(path): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns) for path in files}

    def offered(self, payload: str) -> list[str]:
        """What the graph offers to a host on ``payload``."""
        return [release.payload for release in parse_graph(self.graph.read_bytes()).offers(payload).candidates]


@dataclass(frozen=True, slots=True)
class Client:
    """What a host has of it all: a repository that insists on signatures."""

    repo: Path

    @classmethod
    def create(cls, repo: Path, url: str, *options: str | Path) -> Client:
        run("ostree", f"--repo={repo}", "init", "--mode=bare-user-only")
        run("ostree", f"--repo={repo}", "config", "set", "core.fsync", "false")
        run("ostree", f"--repo={repo}", "remote", "add", *(options or ("--no-gpg-verify",)), REMOTE, url)
        return cls(repo)

    def pull(self, payload: str) -> subprocess.CompletedProcess[str]:
        """As the engine does it: the commit first, then all of it."""
        for argv in (["--commit-metadata-only", REMOTE, payload], [REMOTE, f"{REF}@{payload}"]):
            done = subprocess.run(
                ["ostree", f"--repo={self.repo}", "pull", *argv], capture_output=True, text=True, check=False
            )
            if done.returncode != 0:
                return done
        return done

    def takes(self, payload: str) -> bool:
        """Whether it can pull it, and has all of it then."""
        done = self.pull(payload)
        whole = subprocess.run(["ostree", f"--repo={self.repo}", "fsck", "-q"], capture_output=True, check=False)
        return (done.returncode, whole.returncode) == (0, 0)


@pytest.fixture(scope="module")
def _able() -> None:
    """Skip, with the reason, where the real thing cannot run."""
    if missing := [program for program in ("ostree", "gpg", "gpgconf") if shutil.which(program) is None]:
        pytest.skip(f"needs {', '.join(missing)} installed")


@pytest.fixture(scope="module")
def signer(_able: None, tmp_path_factory: pytest.TempPathFactory) -> Generator[Signer]:
    """A key; its folder's name is short, as that of gpg's socket may have 108 characters."""
    with new_signer(tmp_path_factory.mktemp("g")) as signer:
        yield signer


@pytest.fixture
def site(signer: Signer, tmp_path: Path) -> Site:
    """Nothing is published yet; the build repository has two releases."""
    site = Site(
        Repository.create(tmp_path / "build"), tmp_path / "www/repo", tmp_path / "www/graph.json", signer.signing
    )
    site.served.parent.mkdir()
    Repository.create(site.served)
    for repo in (site.build.path, site.served):
        run("ostree", f"--repo={repo}", "config", "set", "core.fsync", "false")
    site.build.commit("1.0")
    return site


@pytest.fixture
def server(site: Site) -> Generator[FlakyServer]:
    """Serves what is published."""
    with serve(site.served) as server:
        yield server


def trusting(signer: Signer) -> tuple[str, ...]:
    """How a host's remote is set up that insists on signatures of commits and summary."""
    return (*VERIFY, f"--gpg-import={signer.public_key}")


def refused(site: Site, **more: object) -> TidegateError:
    before = site.fingerprint()
    with pytest.raises(TidegateError) as caught:
        site.publish(**more)
    assert site.fingerprint() == before, "nothing was written"
    assert caught.value.remedy
    return caught.value


def test_a_host_that_insists_on_signatures_takes_a_release_as_a_delta(
    site: Site, server: FlakyServer, signer: Signer, tmp_path: Path
) -> None:
    v1 = site.publish().graph.node("1.0").payload
    client = Client.create(tmp_path / "host", server.url, *trusting(signer))
    assert client.takes(v1)
    v2 = site.build.commit("2.0")
    site.publish()
    assert site.offered(v1) == [v2]
    server.forget()
    assert client.takes(v2)
    assert server.paths(DELTA)
    assert not server.paths(OBJECT)


@pytest.mark.root
def test_the_engine_stages_what_was_published(site: Site, server: FlakyServer, signer: Signer, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root: a real OSTree sysroot")
    v1 = site.publish().graph.node("1.0").payload
    sysroot = Sysroot.create(tmp_path / "sysroot", server.url, *trusting(signer))
    try:
        sysroot.install(v1)
        v2 = site.build.commit("2.0")
        site.publish()
        server.forget()
        engine = OstreeEngine.for_scratch(sysroot.path)
        answer = asyncio.run(report(engine, "stage", v2))
        assert "kind" not in answer, answer
        assert sysroot.has_commit(v2)
        assert server.paths(DELTA)
        assert not server.paths(OBJECT)
    finally:
        sysroot.loosen()


def test_the_same_again_and_a_dry_run_change_nothing(site: Site) -> None:
    planned = asyncio.run(publisher.plan_release(site.request()))
    assert planned.steps
    assert not site.graph.exists()
    site.publish()
    site.build.commit("2.0")
    before = site.fingerprint()
    planned = asyncio.run(publisher.plan_release(site.request()))
    assert {MakeDelta, SignCommit, RefreshSummary, WriteGraph} < set(map(type, planned.steps))
    assert site.fingerprint() == before
    assert site.publish().steps == planned.steps
    before = site.fingerprint()
    assert site.publish().steps == ()
    assert site.fingerprint() == before


def test_whenever_the_power_goes_hosts_take_what_they_are_offered_and_the_next_attempt_completes_it(
    site: Site, signer: Signer, tmp_path: Path
) -> None:
    v1 = site.publish().graph.node("1.0").payload
    v2 = site.build.commit("2.0")
    crash_at = 0
    while True:
        crashed = site.copy(tmp_path / f"after-{crash_at}")
        went = crashed.publish_until(crash_at)
        _takes_all_it_is_offered(crashed, signer, v1, tmp_path / f"host-{crash_at}")
        crashed.publish()
        assert crashed.offered(v1) == [v2]
        assert crashed.publish().steps == ()
        if not went:
            break
        crash_at += 1
    assert crash_at >= 6, "copy, signature, delta, branch, summary, graph"


def _takes_all_it_is_offered(site: Site, signer: Signer, booted: str, repo: Path) -> None:
    with serve(site.served) as server:
        client = Client.create(repo, server.url, *trusting(signer))
        for payload in [booted, *site.offered(booted)]:
            assert client.takes(payload), client.pull(payload).stderr


def test_a_process_that_is_killed_leaves_what_hosts_can_use(site: Site, signer: Signer, tmp_path: Path) -> None:
    v1 = site.publish().graph.node("1.0").payload
    site.build.commit("2.0")
    begun = time.monotonic()
    assert _command(site.copy(tmp_path / "whole")).wait() == 0
    usual_secs = time.monotonic() - begun
    killed = site
    for number in range(KILLS):
        killed = site.copy(tmp_path / f"killed-{number}")
        process = _command(killed)
        try:
            process.wait(usual_secs * (number + 1) / (KILLS + 1))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
        _takes_all_it_is_offered(killed, signer, v1, tmp_path / f"host-{number}")
        killed.publish()
    _takes_all_it_is_offered(killed, signer, v1, tmp_path / "later")


def _command(site: Site) -> subprocess.Popen[bytes]:
    key, home = site.signing.keys[0], site.signing.home
    return subprocess.Popen(
        [sys.executable, "-m", "tidegate", "publish", "release", f"--repo={site.served}", f"--source={site.build.path}",
         f"--ref={REF}", f"--graph={site.graph}", f"--gpg-sign={key}", f"--gpg-homedir={home}"],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT / "agent")}, stdout=subprocess.DEVNULL,
    )  # fmt: skip


def test_between_summary_and_signature_hosts_go_on_with_what_they_know_and_the_next_attempt_mends_it(
    site: Site, server: FlakyServer, signer: Signer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    v1 = site.publish().graph.node("1.0").payload
    client = Client.create(tmp_path / "host", server.url, *trusting(signer))
    assert client.takes(v1)
    v2 = site.build.commit("2.0")

    written: list[Path] = []

    def replace(path: Path, content: bytes) -> None:
        if written:
            raise Crashed
        path.write_bytes(content)
        written.append(path)

    with monkeypatch.context() as patched:
        patched.setattr(apply, "replace", replace)
        with pytest.raises(Crashed):
            site.publish()
    assert [path.name for path in written] == [staged_summary.SUMMARY]
    assert client.takes(v1)
    assert site.offered(v1) == []
    steps = site.publish().steps
    assert list(map(type, steps)) == [RefreshSummary, WriteGraph]
    assert client.takes(v2)


def test_a_key_that_cannot_sign_leaves_summary_and_graph_as_they_were(
    site: Site, tmp_path: Path, signer: Signer
) -> None:
    site.publish()
    site.build.commit("2.0")
    stale = tmp_path / "stale"
    run("cp", "-a", signer.home, stale)
    for secret in (stale / "private-keys-v1.d").glob("*.key"):
        secret.unlink()
    before = site.fingerprint()
    with pytest.raises(TidegateError):
        site.publish(signing=Signing(site.signing.keys, stale))
    run("gpgconf", "--homedir", stale, "--kill", "all")
    after = site.fingerprint()
    for name in ("repo/summary", "repo/summary.sig", "graph.json"):
        path = str(site.served.parent / name)
        assert after[path] == before[path]


def test_a_release_that_is_signed_later_has_deltas_with_the_signature(
    site: Site, server: FlakyServer, signer: Signer, tmp_path: Path
) -> None:
    v1 = site.publish(signing=UNSIGNED).graph.node("1.0").payload
    v2 = site.build.commit("2.0")
    site.publish(signing=UNSIGNED)
    steps = site.publish().steps
    assert [type(step) for step in steps] == [DropDelta, RefreshSummary, SignCommit, MakeDelta, RefreshSummary]
    assert site.publish().steps == ()
    run("ostree", f"--repo={site.served}", "gpg-sign", f"--gpg-homedir={signer.home}", v1, signer.key_id)
    client = Client.create(tmp_path / "host", server.url, *trusting(signer))
    assert client.takes(v1)
    server.forget()
    assert client.takes(v2)
    assert server.paths(DELTA)
    assert not server.paths(OBJECT)


def test_a_commit_that_is_signed_already_is_not_signed_again(site: Site, signer: Signer) -> None:
    options = (f"--gpg-sign={signer.key_id}", f"--gpg-homedir={signer.home}")
    site.build.commit("2.0", *options)
    assert SignCommit not in map(type, site.publish().steps)
    assert "Found 1 signature" in run("ostree", f"--repo={site.served}", "show", REF)


def test_an_older_release_does_not_take_the_branch_back(site: Site) -> None:
    v1 = site.publish().graph.node("1.0").payload
    v2 = site.build.commit("2.0")
    site.publish()
    assert site.publish(commit=v1).steps == ()
    assert run("ostree", f"--repo={site.served}", "rev-parse", REF).strip() == v2


def test_without_another_repository_the_branch_itself_is_published(site: Site) -> None:
    payload = Repository(site.served).commit("1.0")
    planned = site.publish(source=None, signing=UNSIGNED)
    assert planned.graph.node("1.0").payload == payload
    assert [type(step) for step in planned.steps] == [WriteGraph], "tiny_os has written the summary"


def test_what_is_not_there_is_refused(site: Site) -> None:
    assert "has no os/nope" in refused(site, ref="os/nope").message
    assert f"has no {'0' * 63}x" in refused(site, commit="0" * 63 + "x").message
    assert "hosts could not pull all of it" in refused(site, commit="0" * 64).remedy
    assert "is incomplete in" in _partly(site).message


def _partly(site: Site) -> TidegateError:
    commit = run("ostree", f"--repo={site.build.path}", "rev-parse", REF).strip()
    mark = site.build.path / f"state/{commit}.commitpartial"
    mark.touch()
    error = refused(site)
    mark.unlink()
    return error


def test_a_release_that_edges_lead_to_must_be_there_still(site: Site) -> None:
    site.publish()
    site.build.commit("2.0")
    v2 = site.publish().graph.node("2.0").payload
    site.build.commit("3.0")
    (site.served / "objects" / v2[:2] / f"{v2[2:]}.commit").rename(site.served.parent / "lost")
    error = refused(site)
    assert f"edges lead to 2.0, but {v2} is not in {site.served}" in error.message
    assert "withdraw 2.0" in error.remedy
    publisher.make_change(site.graph, lambda graph: plan.withdrawn(graph, "2.0", "lost"))
    assert site.publish().graph.versions == ["1.0", "2.0", "3.0"]


def test_a_commit_for_another_branch_is_refused_as_hosts_do(site: Site, tmp_path: Path) -> None:
    run("ostree", f"--repo={site.build.path}", "refs", "--create=other", REF)
    assert f"is bound to {REF}" in refused(site, ref="other").message


def test_a_commit_without_a_version_needs_one(site: Site) -> None:
    tree = site.build.path.parent / "plain"
    tree.mkdir()
    (tree / "file").write_text("content", encoding="utf-8")
    run("ostree", f"--repo={site.build.path}", "commit", "--branch=plain", f"--tree=dir={tree}")
    assert "has no version in its metadata" in refused(site, ref="plain").message
    assert site.publish(ref="plain", version="9").graph.versions == ["9"]


def test_a_version_is_one_commit_for_good(site: Site) -> None:
    site.publish()
    site.build.commit("2.0")
    assert "1.0 is in the graph already" in refused(site, version="1.0").message


def test_what_was_signed_stays_signed(site: Site) -> None:
    site.publish()
    assert "is signed" in refused(site, signing=UNSIGNED).message


def test_a_key_that_is_not_there_is_told(site: Site) -> None:
    error = refused(site, signing=Signing(("nobody@example.org",), site.signing.home))
    assert "has no secret signing key nobody@example.org" in error.message


def test_hosts_cannot_pull_from_every_kind_of_repository(site: Site, tmp_path: Path) -> None:
    run("ostree", f"--repo={tmp_path / 'local'}", "init", "--mode=bare-user")
    assert "has mode bare-user" in refused(site, repo=tmp_path / "local").message
    assert "is not an OSTree repository" in refused(site, repo=site.served.parent).message


def test_two_at_a_time_are_one_too_many(site: Site) -> None:
    for folder in (site.served, site.graph.parent):
        with locked(folder), pytest.raises(TidegateError, match="another `tidegate publish`") as caught:
            site.publish()
        assert caught.value.kind is ErrorKind.PUBLISH_FAILED
    site.publish()


def test_the_command_tells_what_it_does(site: Site) -> None:
    where = [f"--repo={site.served}", f"--source={site.build.path}", f"--ref={REF}", f"--graph={site.graph}"]
    told = json.loads(_cli("release", *where, "--json", "--dry-run", "--rollout-over=2d", "--rollout-value=10%"))
    assert (told["dry_run"], told["changed"], round(told["release"]["share"], 3)) == (True, True, 0.1)
    assert not site.graph.exists()
    said = _cli("release", *where).splitlines()
    assert said[0].startswith("copy ")
    assert said[-2] == f"write {site.graph}"
    assert "nothing to do" in _cli("release", *where)


def _cli(*arguments: str) -> str:
    return run(sys.executable, "-m", "tidegate", "publish", *arguments, cwd=CHECKOUT / "agent")
