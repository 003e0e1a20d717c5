"""The keys of update sources: what is accepted, what is rejected, and where that is reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidegate.config.problems import Problem
from tidegate.settings import Settings, load


def loaded(folder: Path, text: str) -> tuple[Settings | None, tuple[Problem, ...]]:
    (folder / "50-x.toml").write_text(text, encoding="utf-8")
    found = load([folder])
    return found.settings, found.problems


@pytest.mark.parametrize("url", ["https://updates.example", "https://updates.example/${stream}/", "http://u:p@h:1/a/b"])
def test_addresses_of_a_server(tmp_path: Path, url: str) -> None:
    settings, problems = loaded(tmp_path, f'[cincinnati]\nbase_url = "{url}"\n')
    assert problems == ()
    assert settings is not None
    assert settings.cincinnati.base_url == url


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('base_url = "https://h/?stream=next"', "so v1/graph cannot be appended"),
        ('base_url = "https://h/#top"', "so v1/graph cannot be appended"),
        ('base_url = "file:///graph.json"', "http:// or https://"),
        ('base_url = "https://${arch}/"', "unknown variable"),
    ],
)
def test_urls_to_which_no_path_can_be_appended(tmp_path: Path, text: str, what: str) -> None:
    _, problems = loaded(tmp_path, f"[cincinnati]\n{text}\n")
    (problem,) = problems
    assert (problem.key, problem.line) == ("cincinnati.base_url", 2)
    assert what in problem.message


def test_the_url_of_an_unused_server_is_not_checked(tmp_path: Path) -> None:
    text = '[cincinnati]\nbase_url = "https://h/?x"\n[discovery]\nsource = "static_graph"\n'
    _, problems = loaded(tmp_path, f'{text}[discovery.static_graph]\nurl = "file:///graph.json"\n')
    assert problems == ()


def test_a_selected_server_needs_an_address(tmp_path: Path) -> None:
    _, problems = loaded(tmp_path, '[discovery]\nsource = "cincinnati"\n')
    (problem,) = problems
    assert "cincinnati" in problem.message


def test_certificate_authorities_are_a_file(tmp_path: Path) -> None:
    settings, problems = loaded(tmp_path, '[discovery]\nca_file = "/etc/ca.pem"\n')
    assert problems == ()
    assert settings is not None
    assert settings.discovery.ca_file == "/etc/ca.pem"
    _, problems = loaded(tmp_path, '[discovery]\nca_file = "ca.pem"\n')
    assert problems[0].key == "discovery.ca_file"
