"""A host with a root of trust against compromised web servers, with real HTTP and signatures."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakes.http_misbehaving import Behaviour, answers, bomb, drips, endless
from tests.fakes.signed_updates import (
    MAX_BYTES,
    NEXT,
    SIGNED_AT,
    STABLE,
    Heard,
    Publisher,
    TrustingHost,
    asked_for,
    files,
    giving_out,
    graph,
    later,
)
from tidegate.discovery.static_graph import StaticGraph
from tidegate.errors import ErrorKind, TidegateError
from tidegate.identity import HostIdentity
from tidegate.net.client import NetClient
from tidegate.trust.keys import KeyRole

IDENTITY = HostIdentity("default", "x86_64", stream="stable")


@pytest.fixture(name="begun", scope="module")
def one_that_has_begun(tmp_path_factory: pytest.TempPathFactory) -> Publisher:
    publisher = Publisher(tmp_path_factory.mktemp("begun") / "publisher").init()
    publisher.publish(graph("1", "2"))
    return publisher


@pytest.fixture(name="publisher")
def a_publisher(begun: Publisher, tmp_path: Path) -> Publisher:
    return begun.saved(tmp_path / "publisher")


@pytest.fixture(name="host")
def a_host(publisher: Publisher, tmp_path: Path) -> TrustingHost:
    root_file = tmp_path / "root.json"
    shutil.copyfile(publisher.root_file, root_file)
    return TrustingHost(root_file, tmp_path / "trusted")


def look(host: TrustingHost, publisher: Publisher, attacks: dict[str, Behaviour] | None = None) -> Heard:
    with giving_out(publisher.site, attacks) as server:
        return host.look(server.url("/"))


def refused(heard: Heard, words: str, kind: ErrorKind = ErrorKind.DISCOVERY_UNTRUSTED) -> None:
    assert heard.error is not None, heard
    assert (heard.kind, words in heard.message) == (kind, True), heard.message
    assert heard.error.remedy
    assert heard.message.startswith(("http://127.0.0.1:", "file:///")), heard.message


# --------------------------------------------------------------------------- what is signed is taken


def test_what_is_signed_is_taken_and_what_is_known_is_not_asked_for_again(
    publisher: Publisher, host: TrustingHost
) -> None:
    with giving_out(publisher.site) as server:
        assert host.look(server.url("/")).versions == ("2",)
        first = len(asked_for(server))
        assert asked_for(server)[-1] == publisher.copy_of().relative_to(publisher.site).as_posix()
        assert host.look(server.url("/")).versions == ("2",)
        assert asked_for(server)[first:] == ["metadata/2.root.json", "metadata/timestamp.json"]
        publisher.publish(graph("1", "3"))
        assert host.look(server.url("/")).versions == ("3",)


def test_from_the_disk(publisher: Publisher, host: TrustingHost) -> None:
    site = f"{publisher.site.as_uri()}/"
    assert host.look(site).versions == ("2",)
    publisher.metadata("timestamp").unlink()
    heard = host.look(site)
    refused(heard, "metadata/timestamp.json: the file cannot be read", ErrorKind.DISCOVERY_UNREACHABLE)


def test_by_the_real_worker_with_the_hosts_own_stream_in_the_signed_name(
    publisher: Publisher, host: TrustingHost
) -> None:
    with giving_out(publisher.site) as server:
        url = server.url("/${stream}/${basearch}.json")
        found = StaticGraph(url, NetClient(), IDENTITY, trust=str(host.root_file), trust_folder=str(host.folder))
        offers = asyncio.run(found.find("c1", "1"))
    assert [release.version for release in offers.candidates] == ["2"]


def test_a_graph_that_is_signed_still_has_to_make_sense_to_the_host(publisher: Publisher, host: TrustingHost) -> None:
    """A newer publisher may sign what this version does not take."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tidegate.trust.repository.parse_graph", bytes)
        publisher.publish(b"<html>")
    refused(look(host, publisher), "not JSON", ErrorKind.DISCOVERY_NONSENSE)


# --------------------------------------------------------------------------- other graphs


def of_the_same_length(content: bytes) -> bytes:
    return content.replace(b'"2"', b'"6"')


def shorter(content: bytes) -> bytes:
    return content[:-1]


def longer(content: bytes) -> bytes:
    return content + b" "


@pytest.mark.parametrize(
    ("forge", "words"),
    [
        (of_the_same_length, "a file is not the signed one"),
        (shorter, "a file is not the signed one"),
        (longer, "longer than signed"),
    ],
)
def test_a_swapped_graph(publisher: Publisher, host: TrustingHost, forge: Callable[[bytes], bytes], words: str) -> None:
    copy = publisher.copy_of()
    assert forge(copy.read_bytes()) != copy.read_bytes()
    copy.write_bytes(forge(copy.read_bytes()))
    refused(look(host, publisher), words)


def test_the_graph_that_others_read_does_not_matter(publisher: Publisher, host: TrustingHost) -> None:
    (publisher.site / STABLE).write_bytes(graph("1", "666"))
    assert look(host, publisher).versions == ("2",)


def test_a_graph_of_the_hosts_own_that_was_tampered_with_is_fetched_again(
    publisher: Publisher, host: TrustingHost
) -> None:
    assert look(host, publisher).versions == ("2",)
    (host.folder / "graph").write_bytes(graph("1", "666"))
    assert look(host, publisher).versions == ("2",)


def test_the_graph_of_another_stream(publisher: Publisher, host: TrustingHost) -> None:
    publisher.publish(graph("1", "9-beta"), NEXT)
    signed_for_others = publisher.copy_of(NEXT).read_bytes()
    publisher.copy_of(STABLE).write_bytes(signed_for_others)
    heard = look(host, publisher)
    assert heard.kind is ErrorKind.DISCOVERY_UNTRUSTED
    with giving_out(publisher.site) as server:
        refused(host.look(server.url("/"), "testing/x86_64.json"), "there is no 'testing/x86_64.json'")


# --------------------------------------------------------------------------- what was once right


def test_what_is_older_than_what_was_seen_is_noticed_over_reboots(
    publisher: Publisher, host: TrustingHost, tmp_path: Path
) -> None:
    old = publisher.saved(tmp_path / "old")
    publisher.publish(graph("1", "2", "3"))
    assert look(host, publisher).versions == ("2",)
    refused(look(host, old), "older than what this host has seen")
    forgetful = TrustingHost(host.root_file, tmp_path / "other")
    assert look(forgetful, old).versions == ("2",), "what the host remembers is what tells old from new"


def test_a_frozen_repository_is_noticed_when_it_goes_stale(publisher: Publisher, host: TrustingHost) -> None:
    with giving_out(publisher.site) as server:
        publisher.publish(graph("1", "2", "3"), wall=later(-8))
        refused(host.look(server.url("/")), "signed metadata have expired: timestamp.json is expired")
        publisher.repository().refresh()
        assert host.look(server.url("/")).versions == ("2",)


def test_an_expired_root_and_how_it_is_renewed(tmp_path: Path) -> None:
    publisher = Publisher(tmp_path / "publisher").init(later(-366))
    publisher.publish(graph("1", "2"))
    host = TrustingHost(publisher.root_file, tmp_path / "trusted")
    refused(look(host, publisher), "Final root.json is expired")
    publisher.rotate()
    assert look(host, publisher).versions == ("2",)


def test_parts_from_different_times(publisher: Publisher, host: TrustingHost) -> None:
    """The newest timestamp with the list of graphs before it."""
    publisher.publish(graph("1", "3"))
    publisher.metadata("3.snapshot").write_bytes(publisher.metadata("2.snapshot").read_bytes())
    refused(look(host, publisher), "or of mixed versions")


def test_an_old_list_of_graphs_under_a_new_name(publisher: Publisher, host: TrustingHost) -> None:
    publisher.publish(graph("1", "3"))
    publisher.metadata("3.targets").write_bytes(publisher.metadata("2.targets").read_bytes())
    refused(look(host, publisher), "or of mixed versions")


# --------------------------------------------------------------------------- other keys


@pytest.mark.parametrize("name", ["timestamp", "2.snapshot", "2.targets"])
def test_signed_by_somebody_else(publisher: Publisher, host: TrustingHost, tmp_path: Path, name: str) -> None:
    thief = Publisher(tmp_path / "thief").init()
    thief.publish(graph("1", "666"))
    publisher.metadata(name).write_bytes(thief.metadata(name).read_bytes())
    refused(look(host, publisher), "not signed by a key that this host trusts")


def test_changed_without_signing(publisher: Publisher, host: TrustingHost) -> None:
    fields = json.loads(publisher.metadata("timestamp").read_bytes())
    fields["signed"]["expires"] = "2999-01-01T00:00:00Z"
    publisher.metadata("timestamp").write_text(json.dumps(fields), encoding="utf-8")
    refused(look(host, publisher), "not signed by a key that this host trusts")


def test_every_key_may_change_and_hosts_follow(publisher: Publisher, host: TrustingHost) -> None:
    assert look(host, publisher).versions == ("2",)
    for role in KeyRole:
        publisher.rotate(role)
    publisher.rotate(*KeyRole)
    publisher.publish(graph("1", "5"))
    assert look(host, publisher).versions == ("5",)
    late = TrustingHost(host.root_file, host.folder.with_name("late"))
    assert look(late, publisher).versions == ("5",), "a host that was off for all of it follows, too"


def test_a_forged_root_is_not_followed(publisher: Publisher, host: TrustingHost, tmp_path: Path) -> None:
    thief = Publisher(tmp_path / "thief").init()
    thief.rotate(*KeyRole)
    thief.publish(graph("1", "666"))
    shutil.rmtree(publisher.site)
    shutil.copytree(thief.site, publisher.site)
    refused(look(host, publisher), "not signed by a key that this host trusts")


def test_a_key_that_was_stolen_and_replaced_is_worth_nothing(
    publisher: Publisher, host: TrustingHost, tmp_path: Path
) -> None:
    thief = publisher.saved(tmp_path / "thief")
    for key in thief.keys.glob("root-*.pem"):
        key.unlink()
    publisher.rotate(KeyRole.TARGETS, KeyRole.ONLINE)
    assert look(host, publisher).versions == ("2",)
    thief.publish(graph("1", "666"))
    shutil.copyfile(publisher.metadata("2.root"), thief.metadata("2.root"))
    refused(look(host, thief), "not signed by a key that this host trusts")


# --------------------------------------------------------------------------- servers that do not serve


NO_FILE = answers(b"", "404 Not Found")


@pytest.mark.parametrize("name", ["metadata/timestamp.json", "metadata/2.snapshot.json", "metadata/2.targets.json"])
def test_a_file_that_is_missing(publisher: Publisher, host: TrustingHost, name: str) -> None:
    refused(look(host, publisher, {name: NO_FILE}), f"{name}: answers 404 Not Found", ErrorKind.DISCOVERY_REFUSED)


def test_a_graph_that_is_missing(publisher: Publisher, host: TrustingHost) -> None:
    publisher.copy_of().unlink()
    refused(look(host, publisher), ".x86_64.json: answers 404", ErrorKind.DISCOVERY_REFUSED)


def test_an_object_store_says_403_of_the_root_that_is_not_there(publisher: Publisher, host: TrustingHost) -> None:
    attacks = {"metadata/2.root.json": answers(b"", "403 Forbidden")}
    assert look(host, publisher, attacks).versions == ("2",)


def test_a_server_that_asks_for_patience(publisher: Publisher, host: TrustingHost) -> None:
    busy = answers(b"", "503 Service Unavailable", {"Retry-After": "90"})
    heard = look(host, publisher, {"metadata/2.root.json": busy})
    refused(heard, "metadata/2.root.json: answers 503", ErrorKind.DISCOVERY_REFUSED)
    assert heard.error is not None
    assert heard.error.retry_after_secs == 90.0


def test_redirects_are_not_followed(publisher: Publisher, host: TrustingHost) -> None:
    elsewhere = answers(b"", "302 Found", {"Location": "http://elsewhere/"})
    heard = look(host, publisher, {"metadata/timestamp.json": elsewhere})
    refused(heard, "redirects are not followed", ErrorKind.DISCOVERY_REFUSED)


@pytest.mark.parametrize("attack", [endless, bomb(100 * 1024 * 1024), answers(b" " * (MAX_BYTES + 1))])
@pytest.mark.parametrize("name", ["metadata/2.root.json", "metadata/timestamp.json", "metadata/2.targets.json"])
def test_data_without_end(publisher: Publisher, host: TrustingHost, name: str, attack: Behaviour) -> None:
    refused(look(host, publisher, {name: attack}), "longer than")


@pytest.mark.parametrize("page", [b"", b"<html>Log in</html>", b"[" * 10_000, b"{}", b"\xff", b'{"signed":{}}'])
@pytest.mark.parametrize("name", ["metadata/2.root.json", "metadata/timestamp.json"])
def test_something_else_altogether(publisher: Publisher, host: TrustingHost, name: str, page: bytes) -> None:
    refused(look(host, publisher, {name: answers(page)}), "signed metadata are invalid")


def test_a_graph_without_end(publisher: Publisher, host: TrustingHost) -> None:
    copy = publisher.copy_of().relative_to(publisher.site).as_posix()
    refused(look(host, publisher, {copy: endless}), "longer than signed")


def test_a_graph_that_was_signed_but_is_too_large(publisher: Publisher, host: TrustingHost) -> None:
    publisher.publish(graph("1", "2") + b" " * MAX_BYTES)
    refused(look(host, publisher), f"larger than {MAX_BYTES} bytes")


def test_a_server_that_drips_is_left_at_the_deadline(publisher: Publisher, host: TrustingHost) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n"
    with giving_out(publisher.site, {"metadata/timestamp.json": drips(head)}) as server:
        graph_of = StaticGraph(
            *(server.url("/${stream}/x86_64.json"), NetClient(), IDENTITY),
            timeout_secs=1.5,
            trust=str(host.root_file),
            trust_folder=str(host.folder),
        )
        with pytest.raises(TidegateError, match=r"no whole answer within 1\.5 s") as caught:
            asyncio.run(graph_of.find("c1", "1"))
    assert caught.value.kind is ErrorKind.DISCOVERY_UNREACHABLE


# --------------------------------------------------------------------------- this host


def test_a_clock_that_cannot_be_right(publisher: Publisher, host: TrustingHost) -> None:
    with giving_out(publisher.site) as server:
        heard = host.look(server.url("/"), wall=SIGNED_AT.replace(year=1970))
        assert asked_for(server) == []
    refused(heard, "this host's clock shows 1970-")
    assert heard.error is not None
    assert "timedatectl" in heard.error.remedy


def test_roots_of_trust_that_are_none(publisher: Publisher, host: TrustingHost, tmp_path: Path) -> None:
    with giving_out(publisher.site) as server:
        for content, words in (
            (None, "No such file"),
            (b"{}", "is not a root of trust"),
            (b"", "is not a root of trust"),
        ):
            root_file = tmp_path / "another.json"
            if content is not None:
                root_file.write_bytes(content)
            heard = TrustingHost(root_file, host.folder).look(server.url("/"))
            refused(heard, words, ErrorKind.CONFIG_INVALID)
            assert str(root_file) in heard.message
        assert asked_for(server) == []


def test_metadata_of_another_kind_are_no_root(publisher: Publisher, host: TrustingHost) -> None:
    heard = look(TrustingHost(publisher.metadata("timestamp"), host.folder), publisher)
    refused(heard, "is not a root of trust", ErrorKind.CONFIG_INVALID)


def test_nothing_is_trusted_where_nothing_can_be_remembered(publisher: Publisher, host: TrustingHost) -> None:
    in_the_way = host.folder.with_name("file")
    in_the_way.write_bytes(b"")
    heard = look(TrustingHost(host.root_file, in_the_way / "trusted"), publisher)
    refused(heard, "cannot be saved", ErrorKind.RECORD_UNWRITABLE)
    assert str(in_the_way) in heard.message


def test_what_was_remembered_and_is_damaged_is_fetched_again(publisher: Publisher, host: TrustingHost) -> None:
    assert look(host, publisher).versions == ("2",)
    whole = files(host.folder)
    for name in whole:
        (host.folder / name).write_bytes(b"")
    assert look(host, publisher).versions == ("2",)
    assert files(host.folder) == whole


def test_without_the_library_nothing_is_taken_unsigned(publisher: Publisher, host: TrustingHost) -> None:
    code = "import sys; sys.modules['tuf'] = None; from tidegate.net.worker import main; sys.exit(main())"
    with giving_out(publisher.site) as server:
        graph_of = StaticGraph(
            *(server.url(f"/{STABLE}"), NetClient(argv=(sys.executable, "-I", "-c", code)), IDENTITY),
            trust=str(host.root_file),
            trust_folder=str(host.folder),
        )
        with pytest.raises(TidegateError, match="needs tuf") as caught:
            asyncio.run(graph_of.find("c1", "1"))
        assert asked_for(server) == []
    assert caught.value.kind is ErrorKind.DISCOVERY_UNAVAILABLE
    assert "pip install 'tidegate[trust]'" in caught.value.remedy


def test_passwords_do_not_show(publisher: Publisher, host: TrustingHost) -> None:
    with giving_out(publisher.site, {"metadata/timestamp.json": NO_FILE}) as server:
        heard = host.look(server.url("/", userinfo="me:secret@"))
        assert "Authorization: Basic" in server.requests[-1]
    assert heard.kind is ErrorKind.DISCOVERY_REFUSED
    assert "secret" not in str(heard)
