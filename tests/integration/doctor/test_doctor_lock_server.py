"""What the doctor finds at the address of the lock server: a lock server, something else, or nothing."""

from __future__ import annotations

import asyncio

import pytest

from tests.fakes.http_misbehaving import Caller, answers, serving
from tests.fakes.stock_servers import Airlock, stock
from tidegate.doctor import lock_protocol
from tidegate.doctor.base import Finding, Status
from tidegate.fleetlock.account import LockAccount
from tidegate.fleetlock.wire import ProbeEvent

ANY = LockAccount("https://locks.example/", "default", "doctor", 30.0)


def found(url: str) -> dict[str, Finding]:
    account = LockAccount(url, "default", "doctor", 30.0)
    return {one.check: one for one in asyncio.run(lock_protocol.examine(account))}


def test_a_stock_server_is_well_and_said_not_to_tell_clones_apart() -> None:
    server = Airlock(holders={"doctor"})
    with stock(server) as url:
        findings = found(url)
    assert {name: one.status for name, one in findings.items()} == {"protocol": Status.OK, "clones": Status.OK}
    assert "frees the slot of another" in findings["clones"].message
    assert server.holders == {"doctor"}


def test_a_server_that_says_yes_to_everything_is_a_problem_over_http_and_a_warning_over_https() -> None:
    with serving(answers(b"")) as server:
        assert found(server.url("/"))["protocol"].status is Status.PROBLEM
    (finding,) = lock_protocol.judge(ANY, lock_protocol.Probed(ProbeEvent(200, extended=False)))
    assert (finding.check, finding.status) == ("protocol", Status.WARNING)


@pytest.mark.parametrize(
    ("path", "status", "hint"),
    [("/fleet/lock", Status.PROBLEM, True), ("/fleet/lock/", Status.PROBLEM, False), ("/fleet/", Status.OK, False)],
)
def test_an_address_that_zincati_shortens_is_found(path: str, status: Status, *, hint: bool) -> None:
    def behave(caller: Caller) -> None:
        at_home = server.requests[-1].split()[1] == "/fleet/v1/steady-state"
        answers(b"", "400 Bad Request" if at_home else "404 Not Found")(caller)

    with serving(behave) as server:
        finding = found(server.url(path))["protocol"]
        assert (finding.status, "Zincati drops" in finding.message) == (status, hint)
        assert (f'"{server.url("/fleet/")}"' in finding.remedy) == hint


def test_a_server_that_hangs_up_is_unknown() -> None:
    with serving(lambda _: None) as server:
        assert found(server.url("/"))["protocol"].status is Status.UNKNOWN
