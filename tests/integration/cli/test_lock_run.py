"""``tidegate lock run`` in all its ends: against a scripted server, with real commands and real signals."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest

from tests.fakes import lock_server
from tidegate.cli import lock_run
from tidegate.cli.durations import duration
from tidegate.cli.lock_run import SLOT_LEFT, Job, run_locked
from tidegate.clock import SystemClock
from tidegate.errors import ErrorKind, TidegateError
from tidegate.fleetlock.account import LockAccount, LockBusy, LockGranted, LockReleased
from tidegate.fleetlock.protocol import UpdateParams
from tidegate.net.wire import ErrorEvent, NetError

DEADLINE_SECS = 20.0
ACCOUNT = replace(lock_server.ACCOUNT, timeout_secs=0.3)
YES = LockGranted()
BUSY = LockBusy("all 1 slots are held", 0.01)
AWAY = TidegateError(ErrorKind.LOCK_UNREACHABLE, "connection refused")
UNCERTAIN = TidegateError(ErrorKind.LOCK_UNCERTAIN, "no answer within 30 s")
REFUSED = TidegateError(ErrorKind.LOCK_REFUSED, "answers 400: unknown_group", "check the group")
TRUE = (sys.executable, "-c", "")

Answer = LockGranted | LockBusy | TidegateError


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


During = Callable[["Script"], Awaitable[None]]


@dataclass
class Script:
    """Answers in their order, the last one again and again. ``knock``: what to do at a request, for signals.

    ``during`` and ``during_release``: what passes before the answer to a request.
    """

    answers: Sequence[Answer] = (YES,)
    releases: Sequence[TidegateError | None] = (None,)
    asked: int = 0
    released: int = 0
    knock: Callable[[], None] = field(default=lambda: None)
    hang: bool = False
    during: During | None = None
    during_release: During | None = None

    async def acquire(self, account: LockAccount, update: UpdateParams | None) -> LockGranted | LockBusy:
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        self.knock()
        if self.during is not None:
            await self.during(self)
        if self.hang:
            await asyncio.Event().wait()
        if isinstance(answer, TidegateError):
            raise answer
        return answer

    async def release(self, account: LockAccount, update: UpdateParams | None) -> LockReleased:
        failure = self.releases[min(self.released, len(self.releases) - 1)]
        self.released += 1
        if self.during_release is not None:
            await self.during_release(self)
        if failure is not None:
            raise failure
        return LockReleased()


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction] - a fixture
    monkeypatch.setattr(lock_run, "MIN_POLL_SECS", 0.01)
    monkeypatch.setattr(lock_run, "POLL_SECS", 0.01)
    monkeypatch.setattr(lock_run, "FIRST_RETRY_SECS", 0.01)


def run(server: Script, *command: str, wait_secs: float | None = 5, release_secs: float = 0.2) -> int:
    job = Job(ACCOUNT, command or TRUE, wait_secs, release_secs)

    async def bounded() -> int:
        async with asyncio.timeout(DEADLINE_SECS):
            return await run_locked(server, job, SystemClock())

    return asyncio.run(bounded())


def interrupt_soon(sign: signal.Signals, after_secs: float = 0.3) -> Callable[[], None]:
    """Send it to this process in a moment; from the loop, so that it comes where things wait."""

    def knock() -> None:
        asyncio.get_running_loop().call_later(after_secs, os.kill, os.getpid(), sign)

    return knock


def test_the_command_runs_and_the_slot_is_given_back(capfd: pytest.CaptureFixture[str]) -> None:
    server = Script()
    assert run(server, *python("print('at work')")) == 0
    assert (server.asked, server.released) == (1, 1)
    assert capfd.readouterr() == ("at work\n", "")


@pytest.mark.parametrize("code", [1, 3, 42, 255])
def test_the_exit_code_is_the_commands(code: int) -> None:
    server = Script()
    assert run(server, *python(f"raise SystemExit({code})")) == code
    assert server.released == 1


def test_a_command_that_is_killed_ends_as_in_a_shell() -> None:
    server = Script()
    assert run(server, *python("import os; os.kill(os.getpid(), 9)")) == 128 + 9
    assert server.released == 1


@pytest.mark.parametrize(("command", "code"), [("/no/such/command", 127), ("/etc/passwd", 126)])
def test_a_command_that_cannot_run_gives_the_slot_back(
    command: str, code: int, capfd: pytest.CaptureFixture[str]
) -> None:
    server = Script()
    assert run(server, command) == code
    assert server.released == 1
    assert command in capfd.readouterr().err


def test_it_waits_until_there_is_a_slot_and_tells_why_once(capfd: pytest.CaptureFixture[str]) -> None:
    server = Script([BUSY, BUSY, AWAY, UNCERTAIN, BUSY, YES])
    assert run(server) == 0
    assert (server.asked, server.released) == (6, 1)
    assert capfd.readouterr().err.count("all 1 slots are held") == 2


def test_without_patience_it_asks_once_and_says_3(capfd: pytest.CaptureFixture[str]) -> None:
    server = Script([BUSY])
    assert run(server, wait_secs=0) == 3
    assert (server.asked, server.released) == (1, 0)
    assert "no slot within 0 s: all 1 slots are held" in capfd.readouterr().err


def test_when_its_time_is_up_it_has_asked_at_the_end() -> None:
    server = Script([LockBusy("full", 3600)])
    assert run(server, wait_secs=0.1) == 3
    assert server.asked == 2


def test_it_does_not_ask_before_the_server_wants() -> None:
    later = NetError(ErrorEvent(ErrorKind.LOCK_UNCERTAIN, "503", retry_after_secs=3600))
    server = Script([later])
    assert run(server, wait_secs=0.1) == 3
    assert server.asked == 2


def test_a_slot_that_may_have_been_taken_is_given_back_when_giving_up() -> None:
    server = Script([UNCERTAIN])
    assert run(server, wait_secs=0) == 3
    assert server.released == 1


def test_a_server_that_says_never_is_not_asked_again(capfd: pytest.CaptureFixture[str]) -> None:
    server = Script([REFUSED])
    assert run(server, wait_secs=None) == 1
    assert (server.asked, server.released) == (1, 0)
    assert "check the group" in capfd.readouterr().err


def test_giving_back_is_tried_again() -> None:
    server = Script(releases=[AWAY, UNCERTAIN, None])
    assert run(server, release_secs=10) == 0
    assert server.released == 3


def test_a_slot_that_stays_held_is_told_aloud_with_what_to_do(capfd: pytest.CaptureFixture[str]) -> None:
    server = Script(releases=[AWAY])
    assert run(server, *python("raise SystemExit(7)")) == SLOT_LEFT == 125
    assert server.released > 1
    told = capfd.readouterr().err
    assert "would have been 7" in told
    assert "THE SLOT MAY STILL BE HELD" in told
    assert f"tidegate lock release --id {ACCOUNT.id} --group {ACCOUNT.group} --url {ACCOUNT.base_url}" in told


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_goes_to_the_command_and_the_slot_back(sign: signal.Signals) -> None:
    server = Script(knock=interrupt_soon(sign))
    code = f"import signal, sys; signal.signal({int(sign)}, lambda *_: sys.exit(9)); signal.pause()"
    assert run(server, *python(code)) == 9
    assert server.released == 1


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_waiting_ends_it(sign: signal.Signals, capfd: pytest.CaptureFixture[str]) -> None:
    server = Script([LockBusy("full", 3600)], knock=interrupt_soon(sign, 0.05))
    assert run(server, wait_secs=None) == 128 + sign
    assert server.released == 0
    assert "the command was not run" in capfd.readouterr().err


def test_a_signal_while_the_server_thinks_gives_back_what_it_may_have_given() -> None:
    server = Script(knock=interrupt_soon(signal.SIGTERM, 0.05), hang=True)
    assert run(server, wait_secs=None) == 128 + signal.SIGTERM
    assert server.released == 1


def test_a_signal_while_giving_back_ends_the_patience(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_run, "FIRST_RETRY_SECS", 3600)
    server = Script(releases=[AWAY], knock=interrupt_soon(signal.SIGTERM, 1.0))
    assert run(server, *python("raise SystemExit(5)"), release_secs=7200) == SLOT_LEFT
    assert "THE SLOT MAY STILL BE HELD" in capfd.readouterr().err


def kill(sign: signal.Signals = signal.SIGTERM) -> None:
    os.kill(os.getpid(), sign)


def test_a_signal_that_arrives_with_the_grant_is_not_lost() -> None:
    server = Script(knock=kill)
    assert run(server, *python("print('must not run'); raise SystemExit(1)")) == 128 + signal.SIGTERM
    assert server.released == 1


@pytest.mark.parametrize("place", range(4))
def test_a_signal_at_any_moment_of_the_request_keeps_the_command_from_running(
    place: int, capfd: pytest.CaptureFixture[str]
) -> None:
    async def turns(server: Script) -> None:
        for turn in range(4):
            if turn == place:
                kill()
            await asyncio.sleep(0)

    server = Script(during=turns)
    assert run(server, *python("print('ran')")) == 128 + signal.SIGTERM
    assert server.released == 1
    assert capfd.readouterr().out == ""


def test_a_second_signal_does_not_abandon_the_first_attempt_to_release() -> None:
    finished = list[str]()

    async def slow(server: Script) -> None:
        for _ in range(3):
            kill()
            await asyncio.sleep(0.05)
        finished.append("release")

    server = Script(knock=interrupt_soon(signal.SIGTERM, 0.05), hang=True, during_release=slow)
    assert run(server, wait_secs=None) == 128 + signal.SIGTERM
    assert (server.released, finished) == (1, ["release"])


def test_a_signal_while_it_asks_waits_for_the_answer_before_it_releases() -> None:
    order = list[str]()

    async def late(server: Script) -> None:
        kill()
        await asyncio.sleep(0.1)
        order.append("granted")

    async def released(server: Script) -> None:
        order.append("released")

    server = Script(during=late, during_release=released)
    assert run(server, wait_secs=None) == 128 + signal.SIGTERM
    assert order == ["granted", "released"]


@pytest.mark.parametrize("answers", [(UNCERTAIN,), (UNCERTAIN, BUSY), (UNCERTAIN, YES), (UNCERTAIN, AWAY, YES)])
def test_no_unlock_before_the_time_of_an_unanswered_request_is_over(answers: tuple[Answer, ...]) -> None:
    """The server may carry it out as late as that."""
    times = dict[str, float]()

    async def asked(server: Script) -> None:
        times.setdefault("asked", SystemClock().now().boot_secs)

    async def released(server: Script) -> None:
        times["released"] = SystemClock().now().boot_secs

    server = Script(answers, during=asked, during_release=released)
    run(server, wait_secs=0 if len(answers) == 1 else 0.05 if answers[-1] is BUSY else 5)
    assert server.released == 1
    assert times["released"] - times["asked"] >= ACCOUNT.timeout_secs


def test_a_server_that_is_too_busy_to_take_the_slot_back_is_asked_again() -> None:
    busy = NetError(ErrorEvent(ErrorKind.LOCK_UNCERTAIN, "429 Too Many Requests", retry_after_secs=0.05))
    server = Script(releases=[busy, busy, None])
    assert run(server, release_secs=10) == 0
    assert server.released == 3


@pytest.mark.parametrize("command", [TRUE, python("raise SystemExit(3)"), ("/no/such/command",)])
@pytest.mark.parametrize("why", [AWAY, UNCERTAIN, REFUSED])
def test_the_exit_status_says_that_a_slot_may_be_left(command: tuple[str, ...], why: TidegateError) -> None:
    assert run(Script(releases=[why]), *command) == SLOT_LEFT


@pytest.mark.parametrize(
    ("text", "secs"),
    [("0", 0), ("90", 90), ("90s", 90), ("5min", 300), ("5m", 300), ("1h30m", 5400), ("2d", 172800), ("1.5h", 5400)],
)
def test_durations(text: str, secs: float) -> None:
    assert duration(text) == secs


@pytest.mark.parametrize("text", ["", " ", "x", "-1", "1y", "1h x", "5 minutes", "9999d", "9" * 50, "1e3", "\u0661"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(Exception, match="is not a duration"):
        duration(text)
