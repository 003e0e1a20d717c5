"""The coordinator's configuration: valid and invalid settings, and reloads."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidegate.config.loader import load_as
from tidegate.config.reference import reference
from tidegate.config.show import as_toml
from tidegate.coordinator.addresses import Address, parse_address
from tidegate.coordinator.configuration import Configuration, Overrides, rules_of
from tidegate.coordinator.group_kind import Group
from tidegate.coordinator.model import Rules
from tidegate.coordinator.settings import SCHEMA, CoordinatorSettings, Loaded
from tidegate.errors import TidegateError

SAMPLE = Path(__file__).parents[3] / "contrib" / "coordinator" / "coordinator.d"
MANUAL = Path(__file__).parents[3] / "contrib" / "man" / "tidegate-coordinator.8.md"


def load_text(folder: Path, text: str, name: str = "10.toml") -> Loaded:
    (folder / name).write_text(text)
    return load_as(SCHEMA, [folder])


def settings_of(folder: Path, text: str) -> CoordinatorSettings:
    loaded = load_text(folder, text)
    assert loaded.settings is not None, loaded.problems
    return loaded.settings


def test_without_snippets_one_slot_is_served_on_this_host_only(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "")
    assert settings == load_as(SCHEMA, [tmp_path / "gone"]).settings == CoordinatorSettings()
    assert settings.groups == (Group("default", Rules(slots=1)),)
    assert settings.coordinator.listen.is_loopback
    assert settings.coordinator.default_group is None


def test_everything_can_be_set(tmp_path: Path) -> None:
    settings = settings_of(
        tmp_path,
        """
[[group]]
name = "workers"
slots = 3
lock_ttl_secs = 7200
release_delay_secs = 60
min_gap_secs = 30
[[group]]
name = "db-1.eu"
slots = 0
[coordinator]
listen = "[::]:3333"
default_group = "workers"
store = "etcd://a:2379,b:2379"
max_connections = 50
[coordinator.tls]
certificate = "/c.pem"
key = "/c.key"
client_ca = "/ca.pem"
[coordinator.admin]
listen = "10.0.0.1:9100"
token_file = "/tokens"
certificate_names = ["ops", "Ann Other"]
socket = "/run/x/operator.sock"
[coordinator.etcd]
ca_file = "/etcd-ca.pem"
user = "tidegate"
password_file = "/password"
""",
    )
    assert rules_of(settings) == {"workers": Rules(3, 7200, 60, 30), "db-1.eu": Rules(0)}
    own = settings.coordinator
    assert (own.listen, own.admin.listen) == (Address("::", 3333), Address("10.0.0.1", 9100))
    assert own.admin.certificate_names == ("ops", "Ann Other")
    assert (own.tls.certificate_key, own.etcd.user) == ("/c.key", "tidegate")


def test_what_is_shown_can_be_read_again(tmp_path: Path) -> None:
    text = '[[group]]\nname = "w"\nslots = 2\nmin_gap_secs = 5\n[coordinator]\nlisten = "[::1]:3333"\n'
    settings = settings_of(tmp_path, text)
    again = tmp_path / "again"
    again.mkdir()
    assert settings_of(again, as_toml(settings, None)) == settings


def test_groups_of_all_snippets_add_up_unless_one_says_otherwise(tmp_path: Path) -> None:
    load_text(tmp_path, '[[group]]\nname = "a"\nslots = 1\n', "10.toml")
    added = load_text(tmp_path, '[[group]]\nname = "b"\nslots = 2\n', "20.toml").settings
    assert added is not None
    assert [group.name for group in added.groups] == ["a", "b"]
    replaced = load_text(tmp_path, 'group_merge = "replace"\n[[group]]\nname = "c"\nslots = 2\n', "30.toml").settings
    assert replaced is not None
    assert [group.name for group in replaced.groups] == ["c"]


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("[coordinator]\nlissen = 'x:1'\n", 2, "did you mean `coordinator.listen`"),
        ("[coordinater]\nlisten = 'x:1'\n", 1, "did you mean `coordinator`"),
        ("[[group]]\nname = 'a'\nslots = 1\nslot = 2\n", 4, "did you mean `slots`"),
        ("[[groups]]\nname = 'a'\n", 1, "did you mean `group`"),
        ("[[group]]\nslots = 1\n", 1, "has no `name`"),
        ("[[group]]\nname = 'a'\n", 1, "has no `slots`"),
        ("[[group]]\nname = 'a b'\nslots = 1\n", 2, "cannot be used"),
        ("[[group]]\nname = ''\nslots = 1\n", 2, "cannot be used"),
        ("[[group]]\nname = 5\nslots = 1\n", 2, "wrong type"),
        ("[[group]]\nname = 'a'\nslots = -1\n", 3, "out of range"),
        ("[[group]]\nname = 'a'\nslots = 1.5\n", 3, "wrong type"),
        ("[[group]]\nname = 'a'\nslots = true\n", 3, "wrong type"),
        ("[[group]]\nname = 'a'\nslots = 1\nlock_ttl_secs = 5\n", 4, "out of range"),
        ("[[group]]\nname = 'a'\nslots = 1\n[[group]]\nname = 'a'\nslots = 2\n", 1, "two groups named"),
        ("[group]\nname = 'a'\n", 1, "wrong type"),
        ("[coordinator]\nlisten = '3333'\n", 2, "does not end in a port"),
        ("[coordinator]\nlisten = '::1:3333'\n", 2, "needs brackets"),
        ("[coordinator]\nlisten = '127.0.0.1:99999'\n", 2, "highest port is 65535"),
        ("[coordinator]\nlisten = '127.0.0.1:http'\n", 2, "does not end in a port"),
        ("[coordinator]\nlisten = 'http://x:80'\n", 2, "needs brackets"),
        ("[coordinator]\nlisten = '0.0.0.0:3333'\n", 2, "TLS is off"),
        ("[coordinator]\nlisten = '*:3333'\n", 2, "TLS is off"),
        ("[coordinator]\nlisten = 'locks.example:3333'\n", 2, "TLS is off"),
        ("[coordinator]\nlisten = '[::]:3333'\n", 2, "insecure_http = true"),
        ("[coordinator.admin]\nlisten = '0.0.0.0:3334'\n", 2, "TLS is off"),
        ("[coordinator.admin]\nlisten = '127.0.0.1:3333'\n", 2, "served there"),
        ("[coordinator]\ndefault_group = 'nope'\n", 2, 'no group "nope"'),
        ("[coordinator]\nstore = 'postgres://x'\n", 2, "cannot be used"),
        ("[coordinator]\nstore = 'sqlite:relative.db'\n", 2, "cannot be used"),
        ("[coordinator]\nmax_connections = 0\n", 2, "out of range"),
        ("[coordinator.tls]\ncertificate = '/c.pem'\n", 2, "without its key"),
        ("[coordinator.tls]\nkey = '/c.key'\n", 2, "cannot be used without its key"),
        ("[coordinator.tls]\nclient_ca = '/ca.pem'\n", 2, "need TLS"),
        ("[coordinator.tls]\ncertificate = 'c.pem'\nkey = '/k'\n", 2, "cannot be used"),
        ("[coordinator.admin]\ncertificate_names = ['ops']\n", 2, "authority that signs"),
        ("[coordinator.admin]\ncertificate_names = ['']\n", 2, "cannot be used"),
        ("[coordinator.etcd]\nuser = 'x'\n", 2, "authentication needs both"),
        ("[coordinator.etcd]\ncertificate = '/x'\n", 2, "without its key"),
        ("group_merge = 'prepend'\n", 1, "not known"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, text: str, line: int, told: str) -> None:
    loaded = load_text(tmp_path, text)
    assert loaded.settings is None
    problem = loaded.problems[0]
    assert (problem.file, problem.line) == (str(tmp_path / "10.toml"), line)
    assert told in f"{problem.message} {problem.remedy}"
    assert problem.remedy


def test_insecure_http_is_a_decision(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "[coordinator]\nlisten = '*:3333'\ninsecure_http = true\n")
    assert str(settings.coordinator.listen) == "*:3333"


@pytest.mark.parametrize(
    ("text", "loopback"),
    [
        *(("127.0.0.1:1", True), ("127.9.9.9:1", True), ("[::1]:1", True), ("localhost:1", True)),
        *(("[::ffff:127.0.0.1]:1", True), ("0.0.0.0:1", False), ("*:1", False), (":1", False), ("[::]:1", False)),
        *(("localhost.example:1", False), ("10.0.0.1:1", False), ("[::ffff:10.0.0.1]:1", False)),
    ],
)
def test_only_what_surely_is_this_host_counts_as_it(text: str, loopback: bool) -> None:
    assert parse_address(text).is_loopback is loopback


def test_a_reload_takes_what_is_good_and_keeps_what_was(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    load_text(tmp_path, '[[group]]\nname = "a"\nslots = 1\n')
    configuration = Configuration([tmp_path], Overrides())
    load_text(tmp_path, '[[group]]\nname = "a"\nslots = oops\n')
    assert not configuration.reload()
    assert rules_of(configuration.settings) == {"a": Rules(1)}
    assert "last good configuration stays in force" in caplog.text
    load_text(tmp_path, '[[group]]\nname = "a"\nslots = 4\n')
    assert configuration.reload()
    assert rules_of(configuration.settings) == {"a": Rules(4)}


def test_a_reload_says_what_only_a_restart_changes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    configuration = Configuration([tmp_path], Overrides())
    load_text(tmp_path, '[coordinator]\nlisten = "127.0.0.1:4444"\n[coordinator.admin]\nlisten = "127.0.0.1:4445"\n')
    assert configuration.reload()
    assert "after a restart: coordinator.listen, coordinator.admin" in caplog.text


def test_the_command_line_goes_over_snippets_and_is_held_against_them(tmp_path: Path) -> None:
    configuration = Configuration([tmp_path], Overrides("sqlite:x.db", "127.0.0.1:0"))
    assert configuration.settings.coordinator.store == "sqlite:x.db"
    assert configuration.settings.coordinator.listen == Address("127.0.0.1", 0)
    with pytest.raises(TidegateError, match="TLS is off"):
        Configuration([tmp_path], Overrides(listen="0.0.0.0:3333"))
    with pytest.raises(TidegateError, match="does not end in a port"):
        Configuration([tmp_path], Overrides(listen="3333"))


def test_a_bad_configuration_at_the_start_is_an_error_with_its_place(tmp_path: Path) -> None:
    load_text(tmp_path, "[coordinator]\nlissen = 'x:1'\nstore = 5\n")
    with pytest.raises(TidegateError, match=r"10\.toml:2: .*and 1 more") as caught:
        Configuration([tmp_path], Overrides())
    assert caught.value.remedy == "tidegate coordinator check"


def test_the_sample_is_right_and_shows_the_defaults(tmp_path: Path) -> None:
    assert load_as(SCHEMA, [SAMPLE]).settings == CoordinatorSettings()
    [sample] = SAMPLE.iterdir()
    lines = sample.read_text().splitlines()
    active = [line[1:] if line.startswith("#") and not line.startswith(("# ", "#!")) else line for line in lines]
    loaded = load_text(tmp_path, "\n".join(active))
    assert not loaded.problems


def test_the_manual_has_every_key() -> None:
    """Where this fails: what ``reference(CoordinatorSettings)`` returns belongs under KEYS."""
    assert reference(CoordinatorSettings).strip() in MANUAL.read_text()
