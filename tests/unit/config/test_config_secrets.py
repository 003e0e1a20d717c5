"""Passwords in URLs: effective, and never shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tidegate.cli.entry import cli
from tidegate.printable import without_password

SECRET = "hunter2"
ADDRESSES = (
    f"https://ops:{SECRET}@graph.example.com/",
    f"https://{SECRET}@graph.example.com/",
    f"https://graph.example.com/g?arch=arm64&access_token={SECRET}",
    f"https://graph.example.com/g?apikey={SECRET}#x",
    f"https://graph.example.com/g?pwd={SECRET}",
    f"https://graph.example.com/g?stream=x&db_pwd={SECRET}",
    f"https://graph.example.com/g?pass={SECRET}",
)


def run(folder: Path, snippet: str, *arguments: str) -> str:
    (folder / "50-site.toml").write_text(snippet)
    done = CliRunner().invoke(cli, ["config", *arguments, "--config-root", str(folder)])
    return done.output


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("form", [(), ("--json",), ("--origin",)])
def test_config_show_has_no_secret(address: str, form: tuple[str, ...], tmp_path: Path) -> None:
    shown = run(tmp_path, f"[discovery.static_graph]\nurl = {json.dumps(address)}\n", "show", *form)
    assert "graph.example.com" in shown
    assert SECRET not in shown


def test_an_unusable_url_is_reported_without_its_password(tmp_path: Path) -> None:
    snippet = (
        f'[discovery]\nkind = "static_graph"\n[discovery.static_graph]\nurl = "ftp://ops:{SECRET}@graph.example.com/"\n'
    )
    said = run(tmp_path, snippet, "check")
    assert "ftp://***@graph.example.com/" in said
    assert SECRET not in said


def test_other_parts_of_a_url_are_shown() -> None:
    assert without_password("https://a.example/g?arch=arm64&stream=x") == "https://a.example/g?arch=arm64&stream=x"
    assert without_password(ADDRESSES[2]) == "https://graph.example.com/g?arch=arm64&access_token=***"
