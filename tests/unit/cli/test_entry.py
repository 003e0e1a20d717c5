"""The console script: what it lists, what it imports, and what its errors come to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tidegate import __version__
from tidegate.cli import exits
from tidegate.cli.entry import COMMANDS, INTERNAL, cli
from tidegate.errors import ErrorKind, TidegateError

PACKAGE_ROOT = Path(sys.modules["tidegate"].__file__ or "").parents[1]

PROBE = """
import json, sys
from tidegate.cli.entry import cli
try:
    cli.main(sys.argv[1:], prog_name="tidegate")
except SystemExit:
    pass
print("@" + json.dumps(sorted(sys.modules)))
"""


def modules_of(*arguments: str) -> tuple[str, set[str]]:
    """What the command printed in a fresh process, and what that process had imported."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
        env={**os.environ, "PYTHONPATH": str(PACKAGE_ROOT)},
    )
    printed, _, modules = done.stdout.rpartition("@")
    return printed, set(json.loads(modules))


def test_help_lists_every_command_and_imports_none() -> None:
    printed, modules = modules_of("--help")
    for name, (place, line) in COMMANDS.items():
        assert f"\n  {name} " in printed
        assert line in " ".join(printed.split())
        assert place.partition(":")[0] not in modules
    commands, processes = printed.split("Processes:")
    assert all(f"\n  {name} " in processes for name in INTERNAL)
    assert "\n  status " in commands


STATUS_IMPORTS = {
    "tidegate",
    "tidegate.cli",
    "tidegate.cli.entry",
    "tidegate.cli.exits",
    "tidegate.cli.output",
    "tidegate.cli.snapshot_file",
    "tidegate.cli.status_cmd",
    "tidegate.cli.suggest",
    "tidegate.cli.terminal",
    "tidegate.cli.wording",
    "tidegate.clock",
    "tidegate.jsonread",
    "tidegate.printable",
    "tidegate.report",
    "tidegate.report.status_file",
    "tidegate.system",
    "tidegate.system.boot",
    "tidegate.system.regular_file",
}
"""All of the package that `status` imports: monitoring agents run it every minute, on every host."""


def test_reading_the_status_needs_neither_bus_nor_network_nor_an_event_loop() -> None:
    _, modules = modules_of("status", "--help")
    assert {name for name in modules if name.partition(".")[0] == "tidegate"} == STATUS_IMPORTS
    assert not modules & {
        "asyncio",
        "dateutil",
        "dbus_next",
        "httpx",
        "logging",
        "pathlib",
        "socket",
        "subprocess",
        "tomli",
    }


def test_explaining_is_imported_without_an_event_loop_until_somebody_is_asked() -> None:
    _, modules = modules_of("explain", "--help")
    assert not modules & {"asyncio", "dbus_next", "tidegate.report.explain", "tidegate.bus.bus"}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_listed_command_is_there_and_explains_itself(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert isinstance(command, click.Command)
    done = CliRunner().invoke(cli, [name, "--help"])
    assert (done.exit_code, done.output.startswith("Usage:")) == (0, True)


def test_an_unknown_command_is_a_usage_error() -> None:
    done = CliRunner().invoke(cli, ["statsu"])
    assert done.exit_code == 2
    assert "No such command 'statsu'. Did you mean 'status'?" in done.stderr


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("config shwo", "No such command 'shwo'. Did you mean 'show'?"),
        ("lock relaese", "Did you mean 'release'?"),
        ("coordinator sttaus", "Did you mean 'status'?"),
        ("publish with-draw", "Did you mean 'withdraw'?"),
        ("trust sing", "Did you mean 'sign'?"),
        ("zzz", "No such command 'zzz'.\n"),
    ],
)
def test_the_nearest_command_is_named_in_every_group(typed: str, told: str) -> None:
    done = CliRunner().invoke(cli, typed.split())
    assert (done.exit_code, told in done.stderr) == (2, True), done.stderr


def test_the_version_is_told() -> None:
    assert CliRunner().invoke(cli, ["--version"]).output == f"tidegate, version {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["apply"], "Missing option '--reason'"),
        (["status", "--jsno"], "No such option"),
        (["explain", "periodic"], "unexpected extra argument"),
    ],
)
def test_what_is_asked_wrongly_is_2(arguments: list[str], told: str) -> None:
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 2
    assert told in done.stderr


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (ErrorKind.REBOOT_REFUSED, 3),
        (ErrorKind.AGENT_BUSY, 3),
        (ErrorKind.AGENT_NOT_AUTHORISED, 3),
        (ErrorKind.AGENT_NOTHING_TO_APPLY, 3),
        (ErrorKind.CONFIG_INVALID, 3),
        (ErrorKind.AGENT_UNREACHABLE, 4),
        (ErrorKind.BUS_UNREACHABLE, 4),
        (ErrorKind.BUS_TIMEOUT, 4),
        (ErrorKind.BUS_LOST, 4),
        (ErrorKind.ENGINE_NO_SPACE, 1),
        (ErrorKind.AGENT_INTERNAL, 1),
    ],
)
def test_a_failure_is_its_code_its_message_and_its_remedy(
    kind: ErrorKind, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        exits.fail(TidegateError(kind, "it did not work", "mend it"))
    assert caught.value.code == code
    assert capsys.readouterr().err == "tidegate: it did not work\n  to do: mend it\n"


def test_every_kind_that_is_no_failure_has_a_code_of_its_own() -> None:
    """The codes are chosen by the kinds' texts, where a typing error would be silent."""
    codes = Counter(exits.code_of(kind) for kind in ErrorKind)
    assert (codes[exits.REFUSED], codes[exits.UNREACHABLE], codes[exits.USAGE]) == (9, 6, 2)


def test_without_a_remedy_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    exits.complain("it did not work")
    assert capsys.readouterr().err == "tidegate: it did not work\n"
