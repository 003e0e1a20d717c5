"""Operators: over the socket on this host, with the command line, and over HTTP."""

from __future__ import annotations

import gc
import json
import os
import stat
from collections.abc import Generator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from tests.fakes.bad_requests import GOOD_BODY, PATH
from tests.fakes.locks_at import local, locks_opener
from tests.fakes.memory_locks import MemoryLocks
from tests.fakes.plain_http import NO_TLS
from tests.fakes.running_coordinator import Running, running
from tidegate.cli.entry import cli
from tidegate.clock import SystemClock
from tidegate.coordinator.addresses import Address
from tidegate.coordinator.model import DenialKind, Denied, Holder
from tidegate.coordinator.operator_client import read_token
from tidegate.coordinator.web import auth
from tidegate.coordinator.web.auth import read_tokens
from tidegate.coordinator.web.operator_socket import default_path, open_operator_socket
from tidegate.errors import TidegateError
from tidegate.fleetlock.protocol import ReleaseTag, UpdateParams

HEADERS = {"fleet-lock-protocol": "true"}
TOKEN = "correct-horse-battery-staple"
LONG_AGO = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
UPDATE = UpdateParams("tidegate/1", "0" * 32, ReleaseTag("42.1", "sha256:a"), ReleaseTag("42.2", "sha256:b"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("operators")


@pytest.fixture(scope="module")
def shared(folder: Path) -> Generator[tuple[Running, MemoryLocks], None, None]:
    (folder / "tokens").write_text(TOKEN)
    (folder / "tokens").chmod(0o600)
    own = local(folder)
    own = replace(own, admin=replace(own.admin, token_file=str(folder / "tokens")))
    locks = MemoryLocks()
    with running(own, locks_opener(locks)) as place:
        yield place, locks


@pytest.fixture
def locks(shared: tuple[Running, MemoryLocks]) -> MemoryLocks:
    vars(shared[1]).update(vars(MemoryLocks(clock=SystemClock())))
    return shared[1]


@pytest.fixture
def here(folder: Path, locks: MemoryLocks) -> str:
    """The coordinator's URL on this host, its locks as new."""
    assert not locks.calls
    return f"unix:{folder / 'operator.sock'}"


def tidegate(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["coordinator", *arguments])


def hold(locks: MemoryLocks, group: str, *holders: Holder) -> None:
    locks.held[group] = {one.id: one for one in holders}


def test_the_socket_is_for_its_owner_and_needs_no_token(
    here: str, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert stat.S_IMODE((folder / "operator.sock").stat().st_mode) == 0o600
    with caplog.at_level("INFO"):
        assert tidegate("status", "--url", here).exit_code == 0
    assert f'by="uid {os.getuid()}@localhost" path=/admin/v1/groups' in caplog.text


def test_status_tells_who_holds_what_and_why_others_wait(here: str, locks: MemoryLocks) -> None:
    now = locks.clock.now().wall
    hold(locks, "workers", Holder("host-1", LONG_AGO, now, "192.0.2.7", UPDATE), Holder("host-2", None))
    locks.refused["workers"] = {"host-3": Denied(DenialKind.SEMAPHORE_FULL, "all 2 slots are held", 30)}
    shown = tidegate("status", "workers", "--url", here).output.splitlines()
    assert shown[0] == "workers: 2 of 2 slots held"
    assert shown[1] == "  host-2  held"
    assert "NO TIME" in shown[2]
    assert "tidegate coordinator release host-2 --group workers" in shown[3]
    assert shown[4].startswith("  host-1  held for ")
    assert "42.1 -> 42.2, from 192.0.2.7, last seen 0 s ago" in shown[4]
    assert shown[5] == "  host-3 waits: all 2 slots are held, retry in 30 s"


def test_two_hosts_with_one_id_and_too_many_holders_are_flagged(here: str, locks: MemoryLocks) -> None:
    now = locks.clock.now().wall
    hold(locks, "default", Holder("a", now, conflicting_boot_id="1" * 32), Holder("b", now))
    document = json.loads(tidegate("status", "default", "--json", "--url", here).output)
    [group] = document["groups"]
    assert (document["schema"], group["flags"], group["held"], group["slots"]) == (1, ["over-limit"], 2, 1)
    assert [one["flags"] for one in group["holders"]] == [["two-hosts"], []]
    shown = tidegate("status", "default", "--url", here).output
    assert "TWO HOSTS" in shown
    assert "none is granted until some are released" in shown


def test_release_frees_and_is_told_with_reason_and_person(
    here: str, locks: MemoryLocks, caplog: pytest.LogCaptureFixture
) -> None:
    hold(locks, "workers", Holder("host-1", LONG_AGO))
    with caplog.at_level("INFO"):
        done = tidegate("release", "host-1", "--reason", "burnt down", "--url", here)
    assert (done.exit_code, done.output) == (0, "freed the slot of host-1 in group workers\n")
    assert not locks.held["workers"]
    [happening] = locks.happened
    assert (happening.what, happening.detail) == ("taken", "burnt down")
    assert f"uid {os.getuid()} (" in happening.by
    told = tidegate("history", "--url", here).output
    assert "workers  host-1  taken by uid" in told
    assert told.endswith(": burnt down\n")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("release", "ghost", "--reason", "x"), 3, "not_found: ghost holds no slot"),
        (("release", "ghost", "--group", "nope", "--reason", "x"), 3, "unknown_group"),
        (("release", "ghost", "--reason", " "), 2, "--reason needs a text"),
        (("release", "ghost"), 2, "--reason"),
        (("release", "x" * 300, "--reason", "x"), 3, "`id` takes 1 to 256"),
        (("release", "a\x1b[2J", "--reason", "x"), 3, "can be printed"),
        (("status", "nope"), 3, "there is no such group"),
        (("history", "--limit", "0"), 2, "--limit"),
    ],
)
def test_what_cannot_be_done_is_told(here: str, arguments: tuple[str, ...], code: int, told: str) -> None:
    done = tidegate(*arguments, "--url", here)
    assert done.exit_code == code, done.output
    assert told in done.output


def test_history_is_told_oldest_first(here: str, locks: MemoryLocks, shared: tuple[Running, MemoryLocks]) -> None:
    assert tidegate("history", "--url", here).output == "No entries yet.\n"
    for client_id in ("a", "b"):
        body = GOOD_BODY.replace(b"default", b"workers").replace(b"host-1", client_id.encode())
        httpx.post(shared[0].url() + PATH, headers=HEADERS, content=body, verify=NO_TLS, trust_env=False)
    lines = tidegate("history", "--group", "workers", "--url", here).output.splitlines()
    assert ["a  granted" in lines[0], "b  granted" in lines[1]] == [True, True]
    newest = json.loads(tidegate("history", "--limit", "1", "--json", "--url", here).output)["history"]
    assert [one["id"] for one in newest] == ["b"]


def test_without_its_store_an_operator_is_told_so(here: str, locks: MemoryLocks) -> None:
    locks.away = True
    done = tidegate("status", "--url", here)
    assert done.exit_code == 3
    assert "backend_unavailable" in done.output


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # httpcore 1.0 leaves the socket to gc
@pytest.mark.parametrize(
    "url", ["unix:/nowhere/operator.sock", "http://127.0.0.1:9", "http://", "nonsense", "https://["]
)
def test_a_coordinator_that_does_not_answer_is_4(url: str) -> None:
    done = tidegate("status", "--url", url)
    gc.collect()
    assert done.exit_code == 4, done.output
    assert "no coordinator answers" in done.output
    assert "Traceback" not in done.output


def test_over_http_a_token_is_needed(shared: tuple[Running, MemoryLocks], locks: MemoryLocks, folder: Path) -> None:
    url = shared[0].url()
    refused = tidegate("status", "--url", url)
    assert refused.exit_code == 3
    assert "--token-file" in refused.output
    assert tidegate("status", "--url", url, "--token-file", str(folder / "tokens")).exit_code == 0


def elsewhere(address: str) -> bool:
    """In place of what tells this host from others."""
    return not address


def test_over_plain_http_from_elsewhere_not_even_a_token_helps(
    shared: tuple[Running, MemoryLocks], locks: MemoryLocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "is_loopback", elsewhere)
    url, headers = f"{shared[0].url()}/admin/v1/groups", {"authorization": f"Bearer {TOKEN}"}
    reply = httpx.get(url, headers=headers, verify=NO_TLS, trust_env=False)
    assert (reply.status_code, reply.headers["www-authenticate"]) == (401, "Bearer")
    assert "use https" in reply.json()["value"]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[]", "expected an object"),
        (b"{}", "'id' is missing"),
        (b'{"id":"a"}', "'reason' is missing"),
        (b'{"id":5,"reason":"x"}', "expected a string"),
        (b'{"id":"a","reason":"x","group":7}', "expected a string"),
        (b'{"id":"","reason":"x"}', "1 to 256"),
        (b'{"id":"a","reason":"a\\nb"}', "can be printed"),
        (b'{"id":"a","reason":"' + b"x" * 501 + b'"}', "1 to 500"),
        (b"[" * 60000, "not JSON"),
    ],
)
def test_a_bad_form_is_refused(shared: tuple[Running, MemoryLocks], locks: MemoryLocks, body: bytes, told: str) -> None:
    url = f"{shared[0].url()}/admin/v1/release"
    headers = {"authorization": f"Bearer {TOKEN}"}
    reply = httpx.post(url, headers=headers, content=body, verify=NO_TLS, trust_env=False)
    assert reply.status_code == 400
    assert told in reply.json()["value"]


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "x", "", "1.5", "9" * 5000, "\u0661"])
def test_a_bad_limit_is_refused(shared: tuple[Running, MemoryLocks], locks: MemoryLocks, limit: str) -> None:
    reply = httpx.get(
        f"{shared[0].url()}/admin/v1/history",
        params={"limit": limit},
        headers={"authorization": f"Bearer {TOKEN}"},
        verify=NO_TLS,
        trust_env=False,
    )
    assert reply.status_code == 400


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no token"),
        ("# only a comment\n", "no token"),
        ("short", "less than 16"),
        (f"alice {TOKEN} extra", "more than a name and a token"),
    ],
)
def test_a_bad_token_file_is_told_without_its_content(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "tokens"
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(TidegateError, match=told) as caught:
        read_tokens(file)
    assert TOKEN not in str(caught.value)


def test_a_token_file_that_everybody_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"alice {TOKEN}\n")
    file.chmod(0o644)
    with pytest.raises(TidegateError, match="every user can read it"):
        read_tokens(file)
    with pytest.raises(TidegateError, match="every user can read it"):
        read_token(file)
    file.chmod(0o640)
    assert read_token(file) == TOKEN
    assert len(read_tokens(file)) == 1


def test_a_token_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(TidegateError, match="cannot be read"):
        read_tokens(tmp_path / "gone")


def test_a_second_coordinator_does_not_take_the_first_ones_socket(
    here: str, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = folder / "operator.sock"
    with pytest.raises(TidegateError, match="another coordinator serves it"):
        open_operator_socket(path)
    own = local(tmp_path)
    own = replace(own, admin=replace(own.admin, socket=str(path)))
    with running(own, locks_opener(MemoryLocks())) as second:
        assert second.addresses[0] != Address("", 0)
    assert "another coordinator serves it" in caplog.text
    assert tidegate("status", "--url", here).exit_code == 0


def test_a_socket_that_was_left_behind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "operator.sock"
    open_operator_socket(path).close()
    open_operator_socket(path).close()


def test_a_coordinator_started_by_hand_makes_the_folder_of_its_socket(tmp_path: Path) -> None:
    path = tmp_path / "tidegate-coordinator/operator.sock"
    before = os.umask(0o077)
    try:
        open_operator_socket(path).close()
    finally:
        os.umask(before)
    assert (path.parent.stat().st_mode & 0o777, path.stat().st_mode & 0o777) == (0o755, 0o600)
    with pytest.raises(TidegateError, match="No such file or directory"):
        open_operator_socket(tmp_path / "no/such/operator.sock")


def test_the_socket_is_where_systemd_says() -> None:
    assert default_path({"RUNTIME_DIRECTORY": "/run/a:/run/b"}) == Path("/run/a/operator.sock")


def test_watching_shows_it_until_told_to_stop(here: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[float] = []

    def sleep(secs: float) -> None:
        shown.append(secs)
        if len(shown) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("tidegate.cli.coordinator_cmd.time.sleep", sleep)
    done = tidegate("status", "--watch", "--json", "--url", here)
    assert done.exit_code == 0
    assert len([json.loads(line) for line in done.output.splitlines()]) == 3


def test_check_tells_all_problems(tmp_path: Path) -> None:
    (tmp_path / "10.toml").write_text("[coordinator]\nlissen = 'x'\nstore = 5\n")
    done = tidegate("check", "--config", str(tmp_path))
    assert done.exit_code == 1
    assert "10.toml:2" in done.output
    assert "10.toml:3" in done.output
    report = json.loads(tidegate("check", "--json", str(tmp_path / "10.toml")).output)
    assert (report["ok"], [one["line"] for one in report["problems"]]) == (False, [2, 3])
    (tmp_path / "10.toml").write_text("")
    assert tidegate("check", "--config", str(tmp_path)).output == "1 snippet, no problems\n"
