"""Signing: what is signed, in what order it is written, what is believed of what is there, who needs which key."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakes.signed_updates import NEXT, SIGNED_AT, STABLE, Publisher, TrustingHost, files, graph, later
from tidegate.discovery.graph import MAX_GRAPH_BYTES
from tidegate.discovery.signed_graph import LIMITS
from tidegate.errors import ErrorKind, TidegateError
from tidegate.system import atomicfile
from tidegate.trust import repository
from tidegate.trust.keys import KeyRole
from tidegate.trust.repository import KEPT_VERSIONS, Lifetimes


@pytest.fixture(name="begun", scope="module")
def one_that_has_begun(tmp_path_factory: pytest.TempPathFactory) -> Publisher:
    publisher = Publisher(tmp_path_factory.mktemp("begun") / "publisher").init()
    publisher.publish(graph("1", "2"))
    return publisher


@pytest.fixture(name="publisher")
def a_publisher(begun: Publisher, tmp_path: Path) -> Publisher:
    return begun.saved(tmp_path / "publisher")


def offered(publisher: Publisher, folder: Path, name: str = STABLE) -> tuple[str, ...] | str:
    """What a host that remembers in ``folder`` may go to, or why it may not."""
    heard = TrustingHost(publisher.root_file, folder).look(f"{publisher.site.as_uri()}/", name)
    return heard.message or heard.versions


def refusal(act: Callable[[], object]) -> TidegateError:
    with pytest.raises(TidegateError) as caught:
        act()
    assert caught.value.remedy
    return caught.value


def drop(publisher: Publisher, role: KeyRole) -> None:
    for path in publisher.keys.glob(f"{role}-*.pem"):
        path.unlink()


def versions(publisher: Publisher) -> tuple[int, int, int]:
    """Of timestamp, snapshot and targets."""
    timestamp = json.loads(publisher.metadata("timestamp").read_bytes())["signed"]
    snapshot = timestamp["meta"]["snapshot.json"]["version"]
    listed = json.loads(publisher.metadata(f"{snapshot}.snapshot").read_bytes())["signed"]["meta"]
    return timestamp["version"], snapshot, listed["targets.json"]["version"]


# --------------------------------------------------------------------------- what is written


def test_beginning_twice_changes_nothing(publisher: Publisher) -> None:
    before = files(publisher.folder)
    publisher.init(later(1))
    assert files(publisher.folder) == before


def test_each_key_is_its_owners_alone_and_has_a_role_of_its_own(publisher: Publisher) -> None:
    made = sorted(publisher.keys.glob("*.pem"))
    assert [path.name.partition("-")[0] for path in made] == ["online", "root", "targets"]
    assert {path.stat().st_mode & 0o777 for path in made} == {0o600}
    assert publisher.keys.stat().st_mode & 0o077 == 0
    roles = json.loads(publisher.root_file.read_bytes())["signed"]["roles"]
    assert roles["snapshot"] == roles["timestamp"]
    assert len({*roles["root"]["keyids"], *roles["targets"]["keyids"], *roles["timestamp"]["keyids"]}) == 3


def test_what_the_web_server_gives_out_is_for_everybody_to_read(publisher: Publisher) -> None:
    public = [path for path in publisher.site.rglob("*") if path.is_file() and path.name != "x86_64.json"]
    assert len(public) == 7
    assert {path.stat().st_mode & 0o777 for path in public} == {0o644}


def test_signing_what_is_signed_changes_nothing_until_half_of_its_time_is_over(publisher: Publisher) -> None:
    before = files(publisher.folder)
    publisher.publish(graph("1", "2"), wall=later(182))
    assert files(publisher.folder) == before
    publisher.publish(graph("1", "2"), wall=later(183))
    assert versions(publisher) == (3, 3, 3)


def test_graphs_are_signed_beside_each_other(publisher: Publisher, tmp_path: Path) -> None:
    publisher.publish(graph("1", "9"), NEXT)
    assert offered(publisher, tmp_path / "a") == ("2",)
    assert offered(publisher, tmp_path / "b", NEXT) == ("9",)


def test_names_are_as_in_addresses(publisher: Publisher, tmp_path: Path) -> None:
    publisher.publish(graph("1", "7"), "my stream/x.json")
    assert offered(publisher, tmp_path / "a", "my%20stream/x.json") == ("7",)


def test_refreshing_keeps_graphs_and_lasts_as_long_as_it_says(publisher: Publisher, tmp_path: Path) -> None:
    assert publisher.repository(SIGNED_AT, Lifetimes(online_days=3)).refresh() == later(3)
    assert versions(publisher) == (3, 3, 2)
    assert json.loads(publisher.metadata("timestamp").read_bytes())["signed"]["expires"] == (
        later(3).strftime("%Y-%m-%dT%H:%M:%SZ")
    )
    assert offered(publisher, tmp_path / "a") == ("2",)


def test_old_versions_go_and_with_them_the_graphs_that_only_they_name(publisher: Publisher, tmp_path: Path) -> None:
    publisher.publish(graph("1", "9"), NEXT)
    kept, first = publisher.copy_of(NEXT), publisher.copy_of()
    for release in range(3, 3 + KEPT_VERSIONS):
        assert first.exists()
        publisher.publish(graph("1", str(release)))
    assert not first.exists()
    assert kept.exists()
    assert len(list((publisher.site / "stable").glob("*"))) == 1 + KEPT_VERSIONS
    for role in ("snapshot", "targets"):
        assert len(list(publisher.metadata("x").parent.glob(f"*.{role}.json"))) == KEPT_VERSIONS
    assert offered(publisher, tmp_path / "a", NEXT) == ("9",)


def test_a_year_of_refreshing_leaves_few_files_and_the_graph(publisher: Publisher, tmp_path: Path) -> None:
    for _ in range(KEPT_VERSIONS + 2):
        publisher.repository().refresh()
    assert len(files(publisher.site)) == 1 + 1 + KEPT_VERSIONS + 2 + 2  # root, timestamp, snapshots, targets, graph
    assert offered(publisher, tmp_path / "a") == ("2",)


def test_a_thousand_graphs_are_within_the_limits_of_hosts(publisher: Publisher) -> None:
    for name in ("a-stream-with-a-long-name-1/x86_64.json", "a-stream-with-a-long-name-2/x86_64.json"):
        publisher.publish(graph("1", "2"), name)
    sizes = [publisher.metadata(f"{version}.targets").stat().st_size for version in (3, 4)]
    assert 1000 * (sizes[1] - sizes[0]) < LIMITS.targets_max_length / 2


# --------------------------------------------------------------------------- interrupted


class PowerCut(OSError):
    """Before the write that it stands for."""


def cut_before(write: int, patch: pytest.MonkeyPatch) -> None:
    """Let all writes before ``write`` (from 0) happen, and none after."""
    done: list[Path] = []

    def write_or_fail(path: Path, content: bytes, mode: int) -> None:
        if len(done) == write:
            raise PowerCut(5, "Input/output error", str(path))
        done.append(path)
        atomicfile.write_durably(path, content, mode)

    patch.setattr(repository, "write_durably", write_or_fail)


@pytest.mark.parametrize("write", range(4))
def test_hosts_find_the_old_or_the_new_whenever_signing_is_interrupted(
    publisher: Publisher, tmp_path: Path, write: int
) -> None:
    assert offered(publisher, tmp_path / "known") == ("2",)
    with pytest.MonkeyPatch.context() as patch:
        cut_before(write, patch)
        assert refusal(lambda: publisher.publish(graph("1", "3"))).kind is ErrorKind.TRUST_UNUSABLE
    assert offered(publisher, tmp_path / "known") == ("2",)
    assert offered(publisher, tmp_path / "unknown") == ("2",)
    publisher.publish(graph("1", "3"))
    assert offered(publisher, tmp_path / "known") == ("3",)


@pytest.mark.parametrize("write", range(3))
@pytest.mark.parametrize("role", [KeyRole.ROOT, KeyRole.ONLINE])
def test_a_rotation_that_was_interrupted_is_made_good_by_the_next_refresh(
    publisher: Publisher, tmp_path: Path, role: KeyRole, write: int
) -> None:
    assert offered(publisher, tmp_path / "known") == ("2",)
    with pytest.MonkeyPatch.context() as patch:
        cut_before(write, patch)
        if role is KeyRole.ROOT and write > 0:
            publisher.rotate(role)  # a root is one write
        else:
            refusal(lambda: publisher.rotate(role))
    publisher.repository().refresh()
    assert offered(publisher, tmp_path / "known") == ("2",)
    publisher.rotate(role)
    assert offered(publisher, tmp_path / "unknown") == ("2",)


def test_a_rotation_of_the_targets_key_that_was_interrupted_is_made_good_by_signing_anew(
    publisher: Publisher, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        cut_before(2, patch)
        refusal(lambda: publisher.rotate(KeyRole.TARGETS))
    assert "not signed by a key that this host trusts" in offered(publisher, tmp_path / "known")
    assert "--anew" in refusal(publisher.repository().refresh).remedy
    publisher.repository().sign([publisher.site / STABLE], anew=True)
    assert offered(publisher, tmp_path / "known") == ("2",)


# --------------------------------------------------------------------------- what is believed


def test_graphs_that_a_thief_has_added_are_not_signed_by_the_next_run(publisher: Publisher, tmp_path: Path) -> None:
    path = publisher.metadata("2.targets")
    fields = json.loads(path.read_bytes())
    fields["signed"]["targets"][NEXT] = fields["signed"]["targets"][STABLE]
    path.write_text(json.dumps(fields), encoding="utf-8")
    for act in (
        lambda: publisher.publish(graph("1", "3")),
        publisher.repository().refresh,
        lambda: publisher.rotate(KeyRole.TARGETS),
    ):
        error = refusal(act)
        assert "2.targets.json is not signed with the targets key of root 1" in error.message
    publisher.repository().sign([publisher.site / STABLE], anew=True)
    assert offered(publisher, tmp_path / "a") == ("3",), "the graph as it stands in the repository"
    assert "there is no 'next/x86_64.json'" in offered(publisher, tmp_path / "a", NEXT)


def test_a_root_that_a_thief_has_added_gets_nothing_signed(publisher: Publisher, tmp_path: Path) -> None:
    """He names his own key beside the publisher's, and signs a list of graphs with his."""
    thief = Publisher(tmp_path / "thief").init()
    thief.rotate(KeyRole.ROOT)
    shutil.copyfile(thief.metadata("2.root"), publisher.metadata("2.root"))
    for act in (lambda: publisher.publish(graph("1", "3")), publisher.repository().refresh, publisher.rotate):
        assert "2.root.json is not signed with the root key of root 1" in refusal(act).message


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (None, ": No such file or directory"),
        (b"{", " is not valid TUF metadata"),
        (b'{"signed": {}}', " is not valid TUF metadata"),
    ],
)
@pytest.mark.parametrize("name", ["timestamp", "2.snapshot", "2.targets"])
def test_metadata_that_are_lost_or_damaged(publisher: Publisher, name: str, content: bytes | None, what: str) -> None:
    path = publisher.metadata(name)
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    error = refusal(publisher.repository().refresh)
    assert (error.kind, error.message) == (ErrorKind.TRUST_UNUSABLE, f"{path}{what}")


def test_metadata_in_each_others_place(publisher: Publisher) -> None:
    shutil.copyfile(publisher.metadata("2.snapshot"), publisher.metadata("timestamp"))
    assert "timestamp.json is snapshot, not timestamp" in refusal(publisher.repository().refresh).message


# --------------------------------------------------------------------------- what is refused


def test_graphs_that_hosts_would_refuse(publisher: Publisher, tmp_path: Path) -> None:
    before = files(publisher.folder)
    outside = tmp_path / "graph.json"
    outside.write_bytes(graph("1", "2"))
    assert "is not in the repository" in refusal(lambda: publisher.repository().sign([outside])).message
    link = publisher.site / "link.json"
    link.symlink_to(outside)
    assert "is not in the repository" in refusal(lambda: publisher.repository().sign([link])).message
    link.unlink()
    bad = publisher.site / "bad.json"
    bad.write_bytes(b'{"nodes": [], "edges": [[0, 1]]}')
    error = refusal(lambda: publisher.repository().sign([publisher.site / STABLE, bad]))
    assert (error.kind, error.message.startswith(f"{bad}: ")) == (ErrorKind.DISCOVERY_NONSENSE, True)
    bad.write_bytes(b" " * (MAX_GRAPH_BYTES + 1))
    assert f"is larger than {MAX_GRAPH_BYTES} bytes" in refusal(lambda: publisher.repository().sign([bad])).message
    bad.unlink()
    assert "No such file" in refusal(lambda: publisher.repository().sign([bad])).message
    assert files(publisher.folder) == before


def test_a_repository_that_was_never_begun(tmp_path: Path) -> None:
    error = refusal(Publisher(tmp_path / "publisher").repository().refresh)
    assert (error.kind, "tidegate trust init" in error.remedy) == (ErrorKind.TRUST_UNUSABLE, True)


def test_folders_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "publisher").write_bytes(b"")
    assert "Not a directory" in refusal(Publisher(tmp_path / "publisher").init).message


# --------------------------------------------------------------------------- keys


def test_refreshing_needs_the_online_key_alone_and_signing_does_without_the_root_key(publisher: Publisher) -> None:
    drop(publisher, KeyRole.ROOT)
    publisher.publish(graph("1", "3"))
    drop(publisher, KeyRole.TARGETS)
    publisher.repository().refresh()
    assert "has none of the targets keys" in refusal(lambda: publisher.publish(graph("1", "4"))).message
    drop(publisher, KeyRole.ONLINE)
    assert "has none of the online keys" in refusal(publisher.repository().refresh).message


@pytest.mark.parametrize("missing", [KeyRole.ROOT, KeyRole.ONLINE])
def test_a_rotation_that_cannot_be_finished_is_not_begun(publisher: Publisher, missing: KeyRole) -> None:
    drop(publisher, missing)
    before = files(publisher.folder)
    error = refusal(lambda: publisher.rotate(KeyRole.TARGETS))
    assert f"has none of the {missing} keys in the root" in error.message
    assert files(publisher.folder) == before


def test_keys_that_others_can_read_are_not_used(publisher: Publisher) -> None:
    (path,) = publisher.keys.glob("online-*.pem")
    path.chmod(0o640)
    error = refusal(publisher.repository().refresh)
    assert error.message == f"{path} is accessible to users other than its owner"
    assert f"chmod 600 {path}" in error.remedy


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        bytes(range(156, 256)),
    ],
    ids=["empty", "half a key", "noise"],
)
def test_files_that_are_no_keys(publisher: Publisher, content: bytes) -> None:
    (path,) = publisher.keys.glob("online-*.pem")
    path.write_bytes(content)
    assert refusal(publisher.repository().refresh).message.startswith(f"{path} is not an unencrypted ed25519 key")


def test_an_old_key_signs_nothing_after_it_was_replaced(publisher: Publisher) -> None:
    old = next(publisher.keys.glob("online-*.pem"))
    publisher.rotate(KeyRole.ONLINE)
    (fresh,) = set(publisher.keys.glob("online-*.pem")) - {old}
    fresh.unlink()
    assert "has none of the online keys in the root" in refusal(publisher.repository().refresh).message
