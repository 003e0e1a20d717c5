"""The keys of ``[updates.fleet_lock]``, and the conflicts between them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidegate.fleetlock.settings import FleetLockSettings
from tidegate.settings import Loaded, load

TABLE = "updates.fleet_lock"
SELECTED = "[updates]\nstrategy = 'fleet_lock'\n[updates.fleet_lock]\n"
HTTPS = "base_url = 'https://locks.example.com/'\n"
HTTP = "base_url = 'http://locks.example.com/'\n"


def load_text(folder: Path, text: str) -> Loaded:
    (folder / "10-x.toml").write_text(text, encoding="utf-8")
    return load([folder])


def fleet_lock(folder: Path, text: str) -> FleetLockSettings:
    loaded = load_text(folder, SELECTED + text)
    assert loaded.settings is not None, loaded.problems
    return loaded.settings.of(FleetLockSettings)


def test_the_defaults() -> None:
    assert FleetLockSettings() == FleetLockSettings(
        base_url="",
        timeout_secs=30,
        ca_file=None,
        client_cert_file=None,
        client_key_file=None,
        token_file=None,
        release="after-health",
        update_params=True,
    )


def test_everything_at_once(tmp_path: Path) -> None:
    text = HTTPS + (
        "timeout_secs = 5\nca_file = '/etc/ca.pem'\nclient_cert_file = '/etc/a.pem'\nclient_key_file = '/etc/a.pem'\n"
        "token_file = '/etc/token'\nrelease = 'after-boot'\nupdate_params = true\n"
    )
    assert fleet_lock(tmp_path, text) == FleetLockSettings(
        "https://locks.example.com/",
        5,
        "/etc/ca.pem",
        "/etc/a.pem",
        "/etc/a.pem",
        "/etc/token",
        "after-boot",
        True,
    )


def test_an_empty_path_means_none(tmp_path: Path) -> None:
    assert fleet_lock(tmp_path, HTTP + "token_file = ''\nca_file = ''\n").token_file is None


@pytest.mark.parametrize(
    "url",
    [
        "https://locks.example.com/",
        "HTTPS://locks.example.com",
        "http://localhost",
        "http://localhost:8080/a",
        "http://127.0.0.1:8080/",
        "HTTP://127.1.2.3/",
        "http://[::1]:8080/",
    ],
)
def test_where_a_token_may_go(tmp_path: Path, url: str) -> None:
    assert fleet_lock(tmp_path, f"base_url = '{url}'\ntoken_file = '/etc/token'\n").token_file == "/etc/token"


@pytest.mark.parametrize(
    "url",
    [
        "http://locks.example.com/",
        "http://localhost.example.com/",
        "http://127.0.0.1.example.com/",
        "http://10.0.0.1/",
        "http://[::2]/",
        "http://${group}/",
        "Http://h/https://localhost/",
    ],
)
def test_a_token_is_not_sent_unencrypted(tmp_path: Path, url: str) -> None:
    loaded = load_text(tmp_path, f"{SELECTED}base_url = '{url}'\ntoken_file = '/etc/token'\n")
    (problem,) = loaded.problems
    assert (problem.line, problem.key) == (4, f"{TABLE}.base_url")
    assert "sent unencrypted" in problem.message
    assert "https://" in problem.remedy


@pytest.mark.parametrize("url", ["http://localhost@locks.example.com/", "http://localhost:80@locks.example.com/"])
def test_a_user_that_looks_like_this_host_does_not_help(tmp_path: Path, url: str) -> None:
    loaded = load_text(tmp_path, f"{SELECTED}base_url = '{url}'\ntoken_file = '/etc/token'\n")
    assert "sent unencrypted" in loaded.problems[0].message


MISTAKES: dict[str, tuple[str, int, str, str]] = {
    "a query": ("base_url = 'https://h/?x=1'\n", 4, "base_url", "query or a fragment"),
    "a fragment": ("base_url = 'https://h/#x'\n", 4, "base_url", "query or a fragment"),
    "a certificate without its key": (HTTPS + "client_cert_file = '/a.pem'\n", 5, "client_key_file", "has no key"),
    "a key without its certificate": (HTTPS + "client_key_file = '/a.pem'\n", 5, "client_cert_file", "no client cert"),
    "a token and a user": (
        "base_url = 'https://me:pw@h/'\ntoken_file = '/t'\n",
        4,
        "base_url",
        "either a token or a user",
    ),
    "no time": (HTTPS + "timeout_secs = 0\n", 5, "timeout_secs", "1 to 600"),
    "half an hour": (HTTPS + "timeout_secs = 1800\n", 5, "timeout_secs", "1 to 600"),
    "a path from somewhere": (HTTPS + "ca_file = 'ca.pem'\n", 5, "ca_file", "absolute path"),
    "a home": (HTTPS + "token_file = '~/token'\n", 5, "token_file", "absolute path"),
    "a folder": (HTTPS + "token_file = '/etc/'\n", 5, "token_file", "absolute path"),
    "a way back": (HTTPS + "token_file = '/etc/../token'\n", 5, "token_file", "absolute path"),
    "a path with a line end": (HTTPS + 'token_file = "/t\\n"\n', 5, "token_file", "absolute path"),
    "a path that is a number": (HTTPS + "token_file = 1\n", 5, "token_file", "integer"),
    "another time to release": (HTTPS + "release = 'after_boot'\n", 5, "release", '"after-boot"'),
    "a word for a switch": (HTTPS + "update_params = 'yes'\n", 5, "update_params", "true or false"),
    "a key misspelt": (HTTPS + "ca_flie = '/a'\n", 5, "ca_flie", "`updates.fleet_lock.ca_file`"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_each_mistake_names_line_key_and_a_remedy(tmp_path: Path, name: str) -> None:
    text, line, key, words = MISTAKES[name]
    (problem,) = load_text(tmp_path, SELECTED + text).problems
    assert (problem.line, problem.key) == (line, f"{TABLE}.{key}"), problem
    assert words in f"{problem.message} {problem.remedy}"
    assert problem.remedy
    assert "pw" not in problem.message + problem.remedy


def test_the_keys_of_an_unselected_strategy_are_not_checked(tmp_path: Path) -> None:
    text = f"[{TABLE}]\nbase_url = 'http://h/?x'\ntoken_file = '/t'\nclient_cert_file = '/c'\n"
    assert load_text(tmp_path, text).problems == ()
