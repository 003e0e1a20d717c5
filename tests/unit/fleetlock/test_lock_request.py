"""Requests to a lock server, and accounts that are rejected before anything is sent."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tidegate.errors import ErrorKind, TidegateError
from tidegate.fleetlock.account import LockAccount
from tidegate.fleetlock.protocol import ReleaseTag, UpdateParams, Verb
from tidegate.fleetlock.request import MAX_TOKEN_BYTES, answer, body_of, out_of_time
from tidegate.fleetlock.wire import LockRequest
from tidegate.net.urls import below, checked_base
from tidegate.net.wire import ErrorEvent

ACCOUNT = LockAccount("http://127.0.0.1:1/", "workers", "4aed", 5.0)


def refusal(account: LockAccount) -> ErrorEvent:
    """What comes of asking without anybody there."""
    departed = threading.Event()
    event = answer(LockRequest(Verb.PRE_REBOOT, account), departed)
    assert isinstance(event, ErrorEvent)
    assert (event.kind, departed.is_set()) == (ErrorKind.LOCK_UNREACHABLE, False), event
    return event


def test_the_body_is_the_protocols_and_nothing_else() -> None:
    assert body_of(ACCOUNT, None) == b'{"client_params": {"id": "4aed", "group": "workers"}}'


def test_the_extension_goes_beside_it_without_what_is_not_known() -> None:
    update = UpdateParams("tidegate/1", "0" * 32, ReleaseTag("1.0", "c1"), ReleaseTag("2.0", "c2"))
    parts = {
        "agent": "tidegate/1",
        "boot_id": "0" * 32,
        "current": {"version": "1.0", "digest": "c1"},
        "target": {"version": "2.0", "digest": "c2"},
    }
    assert json.loads(body_of(ACCOUNT, update)) == {
        "client_params": {"id": "4aed", "group": "workers"},
        "update_params": parts,
    }
    assert json.loads(body_of(ACCOUNT, UpdateParams()))["update_params"] == {}


def test_any_id_makes_json() -> None:
    assert json.loads(body_of(replace(ACCOUNT, id='h"ö\n\ud800'), None))["client_params"]["id"] == 'h"ö\n\ud800'


@pytest.mark.parametrize(
    ("base", "address"),
    [
        ("http://h", "http://h/v1/pre-reboot"),
        ("http://h/", "http://h/v1/pre-reboot"),
        ("http://h//", "http://h/v1/pre-reboot"),
        ("http://h:8080/fleet_lock", "http://h:8080/fleet_lock/v1/pre-reboot"),
        ("http://h:8080/fleet_lock/", "http://h:8080/fleet_lock/v1/pre-reboot"),
        ("https://u:p@h/a/b/", "https://u:p@h/a/b/v1/pre-reboot"),
    ],
)
def test_addresses_keep_the_path_of_the_base(base: str, address: str) -> None:
    assert checked_base(base).hostname == "h"
    assert below(base, "v1/pre-reboot") == address


@pytest.mark.parametrize(
    ("base", "words"),
    [
        ("http://h/?a=b", "query or a fragment"),
        ("http://h/?", "query or a fragment"),
        ("http://h/#top", "query or a fragment"),
        ("file:///locks", "a file is not a server"),
        ("ftp://h/", "its scheme is 'ftp'"),
        ("locks.example.com", "it has no scheme"),
        ("", "it has no scheme"),
        ("http://", "it has no host"),
        ("http://u:se/cret@h", "its host or port is invalid"),
    ],
)
def test_addresses_that_cannot_be_asked(base: str, words: str) -> None:
    event = refusal(replace(ACCOUNT, base_url=base))
    assert words in event.message
    assert "cret" not in event.message
    assert "base_url" in event.remedy


@pytest.mark.parametrize("group", ["", "a b", "a/b", "workers\n", "\x1b[31m", "gr\u00fcn"])
def test_groups_that_are_none_are_not_sent(group: str) -> None:
    event = refusal(replace(ACCOUNT, group=group))
    assert "letters, digits, dots and dashes" in event.message
    assert event.message.isprintable()
    assert "identity.group" in event.remedy


@pytest.mark.parametrize("id_", ["", "x" * 257])
def test_ids_that_are_none_are_not_sent(id_: str) -> None:
    assert "an id has 1 to 256 characters" in refusal(replace(ACCOUNT, id=id_)).message


def test_errors_name_address_and_group_but_no_password() -> None:
    event = refusal(replace(ACCOUNT, base_url="http://me:secret@127.0.0.1:1/a"))
    assert event.message == "http://***@127.0.0.1:1/a/v1/pre-reboot (group workers): Connection refused"
    assert event.remedy


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"s3cr3t\ns3cr3t\n", "has more than one line"),
        (b"s3cr3t s3cr3t", "a blank, a control character"),
        ("s3cr\u00fct".encode(), "beyond ASCII"),
        (b"s3cr3t\x00s3cr3t", "a control character"),
        (b"s3cr3t\x7f", "a control character"),
        (b"s3cr3t" * MAX_TOKEN_BYTES, "is longer than 8192 bytes"),
    ],
)
def test_tokens_that_are_none(tmp_path_factory: pytest.TempPathFactory, content: bytes | None, words: str) -> None:
    file = tmp_path_factory.mktemp("files") / "token"
    if content is not None:
        file.write_bytes(content)
        file.chmod(0o600)
    event = refusal(replace(ACCOUNT, token_file=str(file)))
    assert f"the token in {file} " in event.message
    assert words in event.message
    assert str(file) in event.remedy
    assert "s3cr3t" not in event.message + event.remedy


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602, 0o666])
def test_a_token_that_everybody_can_read_is_not_used(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "token"
    file.write_text("s3cr3t")
    file.chmod(mode)
    message = refusal(replace(ACCOUNT, token_file=str(file))).message
    assert f"the token in {file} cannot be read: every user can read it (mode {mode:04o})" in message


def test_a_folder_for_a_token(tmp_path: Path) -> None:
    assert (
        "cannot be read: it is a folder, not a plain file"
        in refusal(replace(ACCOUNT, token_file=str(tmp_path))).message
    )


@pytest.mark.parametrize(
    "account",
    [
        replace(ACCOUNT, ca_file="/nonexistent/x.pem"),
        replace(ACCOUNT, client_cert_file="/nonexistent/x.pem"),
        replace(ACCOUNT, client_cert_file=__file__, client_key_file="/nonexistent/x.pem"),
    ],
)
def test_files_that_are_not_there(account: LockAccount) -> None:
    event = refusal(replace(account, base_url="https://127.0.0.1:1/"))
    assert "/nonexistent/x.pem" in event.message
    assert "No such file or directory" in event.message
    assert "PEM" in event.remedy


@pytest.mark.parametrize(("gone", "kind"), [(False, ErrorKind.LOCK_UNREACHABLE), (True, ErrorKind.LOCK_UNCERTAIN)])
def test_out_of_time(gone: bool, kind: ErrorKind) -> None:
    departed = threading.Event()
    if gone:
        departed.set()
    event = out_of_time(LockRequest(Verb.STEADY_STATE, ACCOUNT), departed)
    assert event.kind is kind
    assert event.message == "http://127.0.0.1:1/v1/steady-state (group workers): no whole answer within 5 s"


def test_the_agents_side_loads_nothing_that_speaks_http() -> None:
    heavy = {"httpx", "httpcore", "h11", "http", "email", "urllib", "tidegate.net.http", "tidegate.net.answers"}
    code = f"import sys, tidegate.fleetlock.client; print(*sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout == "\n"


def test_a_base_that_is_none_is_a_fault_of_the_configuration() -> None:
    with pytest.raises(TidegateError) as caught:
        checked_base("http://h/?q")
    assert caught.value.kind is ErrorKind.CONFIG_INVALID
