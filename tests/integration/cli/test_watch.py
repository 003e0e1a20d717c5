"""``tidegate status --watch``: an agent on a real bus is followed through changes, restarts and its end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.fakes.asyncs import run, until
from tests.fakes.bus_agent import DOCUMENT, FakeAgent, served
from tests.fakes.private_bus import PrivateBus, connected, private_bus
from tidegate.bus.bus import Bus
from tidegate.cli import snapshot_file, watch
from tidegate.cli.entry import cli
from tidegate.cli.snapshot_file import text
from tidegate.cli.watch import JsonLines, Lines, Screen, follow, view_for
from tidegate.jsonread import Document
from tidegate.system.boot import start_ticks

FOR_EVER_SECS = 60.0
AT = "2026-03-02T10:10:00Z"


@pytest.fixture
def daemon() -> Generator[PrivateBus]:
    with private_bus() as bus:
        yield bus


class Host:
    """The document that the agent has published, and what a view was shown of it."""

    redraw_secs: float | None = None

    def __init__(self) -> None:
        self.document: Document = {**DOCUMENT, "written_at": AT}
        self.shown: list[str] = []

    def read(self) -> Document:
        return self.document

    def show(self, document: Document) -> None:
        self.shown.append(text(document, "state"))

    def become(self, state: str) -> Document:
        self.document = {**self.document, "state": state}
        return self.document


def _last_is(host: Host, state: str) -> bool:
    return host.shown[-1] == state


def following(bus: Bus, host: Host, return_secs: float = FOR_EVER_SECS) -> asyncio.Task[int]:
    return asyncio.create_task(follow(bus, host, host.read, return_secs))


def test_every_change_is_shown(daemon: PrivateBus) -> None:
    async def scenario() -> None:
        host = Host()
        async with connected(daemon.address) as server, connected(daemon.address) as client:
            face = await served(server, FakeAgent())
            watching = following(client, host)
            await until(lambda: host.shown == ["staged"])
            for state in ("finalizing", "staged", "steady"):
                face.show(host.become(state))
                face.flush()
                await until(partial(_last_is, host, state))
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    run(scenario())


def test_an_agent_that_is_restarted_is_followed_again(daemon: PrivateBus, capsys: pytest.CaptureFixture[str]) -> None:
    async def scenario() -> None:
        host = Host()
        async with connected(daemon.address) as client:
            async with connected(daemon.address) as server:
                await served(server, FakeAgent())
                watching = following(client, host)
                await until(lambda: host.shown == ["staged"])
            await until(lambda: capsys.readouterr().err == "tidegate: the agent is not running; waiting 60 s for it\n")
            async with connected(daemon.address) as server:
                host.become("verifying")
                face = await served(server, FakeAgent())
                await until(lambda: host.shown[-1] == "verifying")
                face.show(host.become("steady"))
                face.flush()
                await until(lambda: host.shown[-1] == "steady")
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)

    run(scenario())


def test_an_agent_that_stays_away_is_4(daemon: PrivateBus, capsys: pytest.CaptureFixture[str]) -> None:
    async def scenario() -> None:
        host = Host()
        async with connected(daemon.address) as client:
            async with connected(daemon.address) as server:
                await served(server, FakeAgent())
                watching = following(client, host, return_secs=0.05)
                await until(lambda: bool(host.shown))
            assert await watching == 4

    run(scenario())
    told = capsys.readouterr()
    assert "waiting 0 s for it" in told.err
    assert told.err.endswith("its last snapshot\n  to do: systemctl start tidegate.service\n")


def test_a_host_that_goes_down_is_no_failure(daemon: PrivateBus, capsys: pytest.CaptureFixture[str]) -> None:
    async def scenario() -> None:
        host = Host()
        async with connected(daemon.address) as client:
            async with connected(daemon.address) as server:
                face = await served(server, FakeAgent())
                watching = following(client, host)
                await until(lambda: bool(host.shown))
                face.show(host.become("rebooting"))
                face.flush()
                await until(lambda: host.shown[-1] == "rebooting")
            assert await watching == 0

    run(scenario())
    assert capsys.readouterr() == ("the host is going down\n", "")


def test_a_bus_that_goes_away_takes_the_agent_along(daemon: PrivateBus) -> None:
    async def scenario() -> None:
        host = Host()
        async with connected(daemon.address) as client, connected(daemon.address) as server:
            await served(server, FakeAgent())
            watching = following(client, host)
            await until(lambda: bool(host.shown))
            daemon.kill()
            assert await watching == 4

    run(scenario())


def test_without_signals_a_screen_is_drawn_again_now_and_then(daemon: PrivateBus) -> None:
    async def scenario() -> None:
        host = Host()
        host.redraw_secs = 0.01
        async with connected(daemon.address) as client, connected(daemon.address) as server:
            await served(server, FakeAgent())
            watching = following(client, host)
            await until(lambda: len(host.shown) > 3)
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    run(scenario())


# --------------------------------------------------------------------------- what is printed


def printed(capsys: pytest.CaptureFixture[str], show: Callable[[Document], None], *documents: Document) -> str:
    for document in documents:
        show(document)
    return capsys.readouterr().out


def told(**changed: object) -> Document:
    return {**DOCUMENT, "written_at": AT, "summary": "up to date", **changed}


def test_elsewhere_than_on_a_terminal_there_is_a_line_for_each_change(capsys: pytest.CaptureFixture[str]) -> None:
    documents = (
        told(state="steady"),
        told(state="steady", next_check="later"),
        told(state="staging", summary="staging 2: 10%", written_at="2026-03-02T10:11:00Z"),
        told(state="staging", summary="staging 2: 20%", written_at="2026-03-02T10:12:00Z"),
    )
    assert printed(capsys, Lines().show, *documents) == (
        "2026-03-02T10:10:00Z steady: up to date\n"
        "2026-03-02T10:11:00Z staging: staging 2: 10%\n"
        "2026-03-02T10:12:00Z staging: staging 2: 20%\n"
    )


def test_for_programs_each_line_is_a_document(capsys: pytest.CaptureFixture[str]) -> None:
    documents = told(state="steady"), told(state="steady"), told(state="staging")
    lines = printed(capsys, JsonLines().show, *documents).splitlines()
    assert [json.loads(line)["state"] for line in lines] == ["steady", "staging"]
    assert json.loads(lines[0]) == {**documents[0], "live": True, "source": "snapshot"}


def test_on_a_terminal_all_of_it_is_drawn_again(capsys: pytest.CaptureFixture[str]) -> None:
    view = Screen(lambda document: [f"State: {document['state']}"])
    out = printed(capsys, view.show, told(state="steady"), told(state="steady"))
    assert out == "\x1b[H\x1b[2JState: steady\n\nFollowing the agent; press Ctrl-C to stop.\n" * 2
    assert view.redraw_secs is not None


def test_the_view_fits_where_the_output_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(view_for(lambda _: [], as_json=False), Lines)
    assert isinstance(view_for(lambda _: [], as_json=True), JsonLines)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert isinstance(view_for(lambda _: [], as_json=False), Screen)
    assert isinstance(view_for(lambda _: [], as_json=True), JsonLines)


# --------------------------------------------------------------------------- the command


@pytest.fixture(name="status_file")
def _status_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command looks; the agent of this process has written there."""
    path = tmp_path / "status.json"
    writer = {"pid": 1, "start_ticks": start_ticks(1)}
    path.write_text(json.dumps({**told(state="steady"), "writer": writer}), encoding="utf-8")
    monkeypatch.setattr(snapshot_file.read, "__defaults__", (str(path),))
    return path


def test_the_command_follows_and_exits_as_that_ends(
    status_file: Path, daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert status_file
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", daemon.address)
    monkeypatch.setattr(watch.follow, "__defaults__", (0.01,))
    done = CliRunner().invoke(cli, ["status", "--watch"])
    assert (done.exit_code, done.stdout) == (4, ""), "nobody is on the bus"
    assert "this was its last snapshot" in done.stderr


def test_without_a_bus_there_is_nothing_to_follow(status_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert status_file
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus")
    done = CliRunner().invoke(cli, ["status", "--watch"])
    assert done.exit_code == 4
    assert "check that dbus is running" in done.stderr


def test_interrupting_is_how_it_ends(status_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    assert status_file
    monkeypatch.setattr(watch, "_connected", interrupted)
    assert CliRunner().invoke(cli, ["status", "--watch"]).exit_code == 0


def test_an_agent_that_does_not_run_is_not_followed(status_file: Path) -> None:
    status_file.write_text(json.dumps({**told(state="steady"), "writer": {"pid": 1, "start_ticks": 0}}))
    done = CliRunner().invoke(cli, ["status", "--watch"])
    assert done.exit_code == 4
    assert "this is its last snapshot" in done.stderr


def test_there_is_no_state_to_exit_with(status_file: Path) -> None:
    assert status_file
    done = CliRunner().invoke(cli, ["status", "--watch", "--exit-code"])
    assert done.exit_code == 2
