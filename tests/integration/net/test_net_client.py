"""The agent's side of the net-worker, with correct and faulty child processes, none of which is left behind."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fakes.http_misbehaving import answers, drips, serving, silent
from tidegate.discovery.base import Offers
from tidegate.discovery.wire import GraphRequest, OffersEvent
from tidegate.errors import ErrorKind, TidegateError
from tidegate.net.client import WORKER_ARGV, NetClient
from tidegate.net.wire import MAX_EVENT_BYTES, ErrorEvent, encode_event

ENOUGH_SECS = 30.0
SOON_SECS = 1.0
NOTHING_OFFERED = OffersEvent(Offers((), None, None))


def request(url: str = "file:///nonexistent", timeout_secs: float = ENOUGH_SECS) -> GraphRequest:
    return GraphRequest(url, "c1", timeout_secs, max_bytes=1024 * 1024)


def run(client: NetClient, wanted: GraphRequest | None = None) -> OffersEvent:
    return asyncio.run(client.run(wanted or request(), OffersEvent), debug=False)


def failure(client: NetClient, wanted: GraphRequest | None = None) -> TidegateError:
    with pytest.raises(TidegateError) as caught:
        run(client, wanted)
    return caught.value


def scripted(script: str, kill_grace_secs: float = ENOUGH_SECS) -> NetClient:
    """A client whose worker is ``script``; it finds a proper answer in ``GOOD``."""
    prelude = f"import os, sys, time, signal; GOOD = {encode_event(NOTHING_OFFERED)!r}; out = sys.stdout.buffer\n"
    return NetClient((sys.executable, "-I", "-c", prelude + script), kill_grace_secs)


def children() -> set[str]:
    """The processes that are ours, zombies among them."""
    return {pid for path in Path("/proc/self/task").glob("*/children") for pid in path.read_text().split()}


def open_files() -> set[str]:
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    before = children(), len(open_files())
    yield
    assert (children(), len(open_files())) == before


def exists(pid_file: Path) -> bool:
    """Whether there is a process, be it a zombie, of the number in ``pid_file``."""
    return Path(f"/proc/{pid_file.read_text()}").exists()


def is_alive(pid_file: Path) -> bool:
    """Whether there is one that still runs: an orphan's zombie is up to the init of wherever this runs."""
    try:
        return Path(f"/proc/{pid_file.read_text()}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait for something that another process does, at most for some seconds."""
    async with asyncio.timeout(ENOUGH_SECS):
        while not condition():
            await asyncio.sleep(0.01)


def test_a_worker_that_answers() -> None:
    assert run(scripted("sys.stdin.read(); out.write(GOOD)")) == NOTHING_OFFERED


def test_a_worker_that_reports_an_error() -> None:
    event = ErrorEvent(ErrorKind.DISCOVERY_REFUSED, "answers 503", "wait", 12.0)
    error = failure(scripted(f"sys.stdin.read(); out.write({encode_event(event)!r})"))
    assert (error.kind, error.message, error.remedy) == (event.kind, event.message, event.remedy)
    assert getattr(error, "retry_after_secs", None) == 12.0


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("1 / 0", "ended with exit code 1: ZeroDivisionError: division by zero"),
        ("sys.exit(3)", "ended with exit code 3: nothing on stderr"),
        ("out.write(GOOD); out.flush(); os.abort()", "was killed by signal 6 (Aborted): nothing on stderr"),
        ("sys.stderr.write('a' * 10**6 + '\\nlast words'); sys.exit(1)", "ended with exit code 1: last words"),
        ("", "wrote an invalid answer: not JSON"),
        ("print('hello')", "wrote an invalid answer: not JSON"),
        ("out.write(GOOD + GOOD)", "wrote an invalid answer: not JSON"),
        ("print('{}')", "wrote an invalid answer: not the offers of a graph"),
        (f"out.write(b'a' * {MAX_EVENT_BYTES + 1}); out.flush(); time.sleep(60)", "wrote more than 1048576 bytes"),
        ("out.write(b' ' * 2**30)", "wrote more than 1048576 bytes"),
    ],
)
def test_a_worker_that_fails(script: str, words: str) -> None:
    error = failure(scripted(script))
    assert error.kind is ErrorKind.NET_WORKER_FAILED
    assert words in error.message
    assert "Traceback" not in error.message
    assert error.remedy


def test_a_worker_that_cannot_be_started() -> None:
    error = failure(NetClient(("/nonexistent/python",)))
    assert error.kind is ErrorKind.NET_WORKER_FAILED
    assert error.message == "the net-worker could not be started: No such file or directory: /nonexistent/python"


def test_a_request_that_is_too_long() -> None:
    error = failure(NetClient(), request("http://x/" + "a" * 100_000))
    assert error.kind is ErrorKind.NET_WORKER_FAILED
    assert "cannot be sent the request" in error.message


@pytest.mark.parametrize(
    "script",
    [
        "time.sleep(60)",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); out.write(GOOD); out.flush(); time.sleep(60)",
        "os.close(1); os.close(2); time.sleep(60)",
    ],
)
def test_a_worker_that_hangs_is_killed(script: str) -> None:
    error = failure(scripted(script, kill_grace_secs=SOON_SECS), request(timeout_secs=0.0))
    assert error.message == "the net-worker gave no answer and was killed after 1 s"


def test_what_a_worker_left_behind_is_killed_too(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    script = f"""
pid = os.fork()
if pid:
    open({str(pid_file)!r}, "w").write(str(pid))
    out.write(GOOD)
else:
    time.sleep(60)
"""
    error = failure(
        scripted(script, kill_grace_secs=3 * SOON_SECS), request(timeout_secs=0.0)
    )  # it has to get that far
    assert "gave no answer" in error.message
    asyncio.run(eventually(lambda: not is_alive(pid_file)))


def test_cancelling_kills_the_worker(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"

    async def cancel_once_it_runs() -> bool:
        client = scripted(f"open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(60)")
        task = asyncio.create_task(client.run(request(), OffersEvent))
        await eventually(lambda: pid_file.exists() and pid_file.read_text() != "")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return exists(pid_file)

    assert not asyncio.run(cancel_once_it_runs())  # dead and reaped as soon as run() is left


def test_cancelling_at_once_leaves_nothing() -> None:
    async def cancel_at_once() -> None:
        task = asyncio.create_task(scripted("time.sleep(60)").run(request(), OffersEvent))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel_at_once())


def test_many_at_once() -> None:
    async def ask_many() -> list[OffersEvent]:
        client = scripted("sys.stdin.read(); out.write(GOOD)")
        return await asyncio.gather(*(client.run(request(), OffersEvent) for _ in range(8)))

    assert asyncio.run(ask_many()) == [NOTHING_OFFERED] * 8


def test_the_worker_gets_nothing_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    script = (
        "sys.exit(' '.join([*sorted(set(os.environ) - {'LC_CTYPE'}), os.getcwd(), str(os.getpgid(0) == os.getpid())]))"
    )
    assert failure(scripted(script)).message.endswith("exit code 1: / True")


@pytest.mark.parametrize(
    "behaviour",
    [
        silent,
        drips(b""),
        drips(b"HTTP/1.1 200 OK\r\nX-Slow: "),
        drips(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"),
    ],
)
def test_the_real_worker_keeps_its_deadline(behaviour: Callable[..., None]) -> None:
    with serving(behaviour) as server:
        error = failure(NetClient(), request(server.url(), timeout_secs=SOON_SECS))
    assert error.kind is ErrorKind.DISCOVERY_UNREACHABLE
    assert error.message in {f"{server.url()}: no whole answer within 1 s", f"{server.url()}: no answer in time"}


def test_the_real_worker_does_not_wait_for_whoever_writes_to_a_fifo(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "graph.json")
    error = failure(NetClient(), request((tmp_path / "graph.json").as_uri(), timeout_secs=ENOUGH_SECS))
    assert error.message == f"file://{tmp_path}/graph.json: the file cannot be read: it is a FIFO, not a plain file"


def test_the_real_worker_says_when_its_answer_is_too_long() -> None:
    nodes = [
        {
            "version": str(i),
            "payload": f"c{i}",
            "metadata": {"org.fedoraproject.coreos.releases.age_index": str(i), "notes": "a" * 5000},
        }
        for i in range(300)
    ]
    graph = {"nodes": nodes, "edges": [[1, i] for i in range(300) if i != 1]}
    with serving(answers(json.dumps(graph).encode())) as server:
        error = failure(NetClient(), GraphRequest(server.url(), "c1", ENOUGH_SECS, 8 * 1024 * 1024))
    assert error.kind is ErrorKind.NET_WORKER_FAILED
    assert error.message.startswith("the answer is too long: a line of ")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}\n",
        b'{"job":"tidegate.discovery.request"}\n',
        b'{"job":"os","request":{}}\n',
        b'{"job":"tidegate.no_such","request":{}}\n',
    ],
)
def test_the_real_worker_crashes_on_a_request_that_is_none(line: bytes) -> None:
    done = subprocess.run(WORKER_ARGV, input=line, capture_output=True, timeout=ENOUGH_SECS, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.splitlines()[-1].startswith(b"tidegate.net.wire.WireError: ")


def test_the_agent_does_not_load_httpx() -> None:
    code = "import sys, tidegate.net.client, tidegate.discovery.static_graph, tidegate.discovery.policy\n"
    code += "print(*sorted({'httpx', 'httpcore', 'h11', 'tidegate.net.http'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, check=True, env={**os.environ})
    assert done.stdout == b"\n"
