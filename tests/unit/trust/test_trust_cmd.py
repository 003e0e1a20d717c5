"""``tidegate trust`` as people and timers run it, and the key that makes hosts look at signatures."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.fakes.clock import FakeClock
from tests.fakes.engine import FakeEngine, FakeHost
from tests.fakes.signed_updates import STABLE, Publisher, TrustingHost, graph
from tidegate.cli.entry import cli
from tidegate.discovery.select import discovery_for
from tidegate.discovery.settings import CincinnatiSettings, DiscoverySettings, StaticGraphSettings
from tidegate.discovery.static_graph import TRUST_FOLDER, StaticGraph, trusting
from tidegate.discovery.wire import Trust
from tidegate.identity import HostIdentity
from tidegate.net.client import NetClient
from tidegate.settings import Settings, load


def run(publisher: Publisher, *arguments: str) -> Result:
    places = ("--keys", str(publisher.keys), "--repository", str(publisher.site))
    return CliRunner().invoke(cli, ("trust", *arguments, *places), catch_exceptions=False)


def written(publisher: Publisher, content: bytes) -> str:
    path = publisher.site / STABLE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return str(path)


def test_from_the_first_key_to_a_host(tmp_path: Path) -> None:
    publisher = Publisher(tmp_path)
    begun = run(publisher, "init")
    assert (begun.exit_code, begun.stderr) == (0, "")
    assert f"root of trust: {publisher.root_file}\n" in begun.stdout
    signed = run(publisher, "sign", written(publisher, graph("1", "2")))
    assert (signed.exit_code, signed.stdout, signed.stderr) == (0, f"signed: {STABLE}\n", "")
    refreshed = run(publisher, "refresh")
    assert (refreshed.exit_code, refreshed.stdout.startswith("valid until 2")) == (0, True)
    rotated = run(publisher, "rotate", "targets", "online")
    assert (rotated.exit_code, rotated.stdout.startswith("root 2 is published")) == (0, True)
    host = TrustingHost(publisher.root_file, tmp_path / "trusted")
    assert host.look(f"{publisher.site.as_uri()}/").versions == ("2",)


def test_a_person_is_told_in_time_that_her_keys_are_needed(tmp_path: Path) -> None:
    publisher = Publisher(tmp_path)
    run(publisher, "init", "--root-days", "31", "--targets-days", "29")
    told = run(publisher, "refresh")
    assert told.exit_code == 0
    assert "the targets signature expires on " in told.stderr
    assert "the root signature" not in told.stderr
    run(publisher, "rotate", "--root-days", "20")
    assert "the root signature expires on " in run(publisher, "refresh").stderr


def test_what_goes_wrong_is_told_with_what_to_do(tmp_path: Path) -> None:
    failed = run(Publisher(tmp_path), "refresh")
    assert failed.exit_code == 1
    assert failed.stderr.startswith("tidegate: ")
    assert "\n  to do: tidegate trust init" in failed.stderr


@pytest.mark.parametrize(
    "arguments", [("rotate", "snapshot"), ("sign",), ("init", "--root-days", "0"), ("sign", "/no")]
)
def test_usage(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert run(Publisher(tmp_path), *arguments).exit_code == 2


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tidegate.trust.repository", None)
    failed = run(Publisher(tmp_path), "init")
    assert (failed.exit_code, "pip install 'tidegate[trust]'" in failed.stderr) == (1, True)


# --------------------------------------------------------------------------- the host's side


@pytest.mark.parametrize(
    ("template", "url", "repository", "target"),
    [
        ("https://h/a/${stream}.json", "https://h/a/stable.json", "https://h/a/", "stable.json"),
        ("https://h/a/${stream}/g.json", "https://h/a/stable/g.json", "https://h/a/", "stable/g.json"),
        ("https://h/a/x-${stream}/g.json", "https://h/a/x-s/g.json", "https://h/a/", "x-s/g.json"),
        ("https://h/a/g.json", "https://h/a/g.json", "https://h/a/", "g.json"),
        ("https://u:p@h:1/g.json", "https://u:p@h:1/g.json", "https://u:p@h:1/", "g.json"),
        ("https://${group}.h/a/g.json", "https://web.h/a/g.json", "https://web.h/", "a/g.json"),
        ("file:///srv/${basearch}/g", "file:///srv/x86_64/g", "file:///srv/", "x86_64/g"),
        ("file:///${stream}", "file:///s", "file:///", "s"),
    ],
)
def test_what_a_host_puts_into_the_address_is_in_the_signed_name(
    template: str, url: str, repository: str, target: str
) -> None:
    assert trusting("/r", template, url, "/f") == Trust("/r", repository, target, "/f")


def chosen(settings: Settings) -> object:
    return discovery_for(
        settings, HostIdentity("g", "x86_64"), NetClient(), FakeClock(), FakeEngine(FakeHost("1")).latest
    )


def test_the_key_reaches_the_source(tmp_path: Path) -> None:
    (tmp_path / "1.toml").write_text('[discovery.static_graph]\nurl = "https://h/g"\ntrust = "/etc/r.json"\n')
    settings = load([tmp_path]).settings
    assert settings is not None
    found = chosen(settings)
    assert isinstance(found, StaticGraph)
    assert (found.trust, found.trust_folder) == ("/etc/r.json", TRUST_FOLDER)
    plain = Settings(discovery=DiscoverySettings(static_graph=StaticGraphSettings("https://h/g")))
    both = replace(settings, cincinnati=CincinnatiSettings("https://h/"))
    assert isinstance(chosen(both), StaticGraph), "what is signed comes before what is not"
    untrusting = chosen(plain)
    assert isinstance(untrusting, StaticGraph)
    assert untrusting.trust is None


@pytest.mark.parametrize("url", ["https://h/g?token=x", "https://h/g#top"])
def test_a_signed_graph_has_no_query(tmp_path: Path, url: str) -> None:
    snippet = tmp_path / "1.toml"
    snippet.write_text(f'[discovery.static_graph]\nurl = "{url}"\n')
    assert load([tmp_path]).problems == ()
    snippet.write_text(f'[discovery.static_graph]\nurl = "{url}"\ntrust = "/etc/r.json"\n')
    (problem,) = load([tmp_path]).problems
    assert (problem.key, problem.line) == ("discovery.static_graph.url", 2)
    snippet.write_text('[discovery.static_graph]\nurl = "https://h/g"\ntrust = "r.json"\n')
    (problem,) = load([tmp_path]).problems
    assert problem.key == "discovery.static_graph.trust"


@pytest.mark.parametrize(
    ("others", "fine"),
    [
        ('discovery.source = "auto"', True),
        ('discovery.source = "static_graph"\ncincinnati.base_url = "https://h/"', True),
        ('discovery.source = "cincinnati"\ncincinnati.base_url = "https://h/"', True),
        ('discovery.source = "auto"\ncincinnati.base_url = "https://h/"', True),
        ('discovery.static_graph.url = ""', False),
    ],
)
def test_a_root_of_trust_without_a_graph_is_reported(tmp_path: Path, *, others: str, fine: bool) -> None:
    graph_url = "" if "static_graph.url" in others else 'discovery.static_graph.url = "https://h/g"\n'
    (tmp_path / "1.toml").write_text(f'{graph_url}discovery.static_graph.trust = "/etc/r.json"\n{others}\n')
    problems = load([tmp_path]).problems
    assert [problem.key for problem in problems] == ([] if fine else ["discovery.static_graph.trust"])
    assert all("no static graph that could be signed" in problem.message for problem in problems)
