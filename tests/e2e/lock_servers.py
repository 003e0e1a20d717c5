"""Lock servers for whole hosts: the project's own, and one that is told what to do."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from http import HTTPStatus
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

from tests.e2e.lab.lab import Lab
from tests.e2e.lab.process import LabError
from tests.e2e.lab.waiting import wait_for
from tidegate.fleetlock.protocol import HEADER_NAME, HEADER_VALUE

LOOPBACK = "127.0.0.1"
UP_SECS = 120.0
STOP_SECS = 20.0
LOGIN_PAGE = b"<!DOCTYPE html><html><title>Please log in</title></html>"


class Coordinator:
    """``tidegate coordinator serve`` on an SQLite file, on the lab's network."""

    def __init__(self, lab: Lab, slots: int = 1, group: str = "default") -> None:
        self.group = group
        self._lab = lab
        self._folder = lab.folder("coordinator")
        self._port = lab.on_network(_free_port)
        self._process: subprocess.Popen[bytes] | None = None
        self._socket = self._folder / "operators.sock"
        snippet = f'[coordinator.admin]\nsocket = "{self._socket}"\n[[group]]\nname = "{group}"\nslots = {slots}\n'
        (self._folder / "10-test.toml").write_text(snippet, encoding="utf-8")

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{LOOPBACK}:{self._port}"

    def start(self) -> None:
        """Serve; returns when it answers."""
        store = f"sqlite:{self._folder / 'locks.db'}"
        listen = f"{LOOPBACK}:{self._port}"
        arguments = ["serve", "--store", store, "--listen", listen, "--config", str(self._folder)]
        with (self._folder / "log").open("ab") as log:
            command = self._lab.namespaces.enter([sys.executable, "-m", "tidegate", "coordinator", *arguments])
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        wait_for(self._answers, "the coordinator", deadline_secs=UP_SECS)

    def stop(self) -> None:
        """End it; what is held stays in its file."""
        if self._process is None:
            return
        os.killpg(self._process.pid, signal.SIGTERM)  # nsenter has forked: the coordinator is its child
        self._process.wait(STOP_SECS)
        self._process = None

    def holders(self) -> list[str]:
        """Who holds a slot."""
        told = json.loads(self._tidegate("status", self.group, "--json"))
        return [str(holder["id"]) for group in told["groups"] for holder in group["holders"]]

    def happened(self) -> list[tuple[str, str]]:
        """What was done to whom, oldest first: granted, released, taken."""
        return [(row["what"], row["id"]) for row in self._history()]

    def times(self, what: str, holder: str) -> list[datetime]:
        """When that was done to ``holder``, to the second, oldest first."""
        return [
            datetime.fromisoformat(row["at"]) for row in self._history() if (row["what"], row["id"]) == (what, holder)
        ]

    def _history(self) -> list[Mapping[str, str]]:
        told = json.loads(self._tidegate("history", "--json"))
        return cast("list[Mapping[str, str]]", told["history"][::-1])

    def take(self, holder: str) -> None:
        """An administrator frees the slot of ``holder``."""
        self._tidegate("release", holder, "--group", self.group, "--reason", "a test")

    def hold(self, holder: str) -> None:
        """Another host takes a slot."""
        self._post("pre-reboot", holder)

    def give_back(self, holder: str) -> None:
        """Another host gives its slot back."""
        self._post("steady-state", holder)

    def log(self) -> str:
        """What it printed."""
        return (self._folder / "log").read_text(encoding="utf-8")

    def _post(self, verb: str, holder: str) -> None:
        body = json.dumps({"client_params": {"id": holder, "group": self.group}})
        status = self._request("POST", f"/v1/{verb}", body, {HEADER_NAME: HEADER_VALUE})
        assert status == HTTPStatus.OK, f"{verb} for {holder}: {status}"

    def _tidegate(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "tidegate", "coordinator", *arguments, "--url", f"unix:{self._socket}"]
        return self._lab.namespaces.must(command)

    def _answers(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise LabError(f"the coordinator ended: {self.log()}")
        with suppress(OSError):
            return self._request("GET", "/healthz") == HTTPStatus.OK
        return False

    def _request(self, method: str, path: str, body: str = "", headers: Mapping[str, str] | None = None) -> int:
        def ask() -> int:
            connection = HTTPConnection(LOOPBACK, self._port, timeout=STOP_SECS)
            with closing(connection):
                connection.request(method, path, body, dict(headers or {}))
                return connection.getresponse().status

        return self._lab.on_network(ask)


@contextmanager
def coordinator(lab: Lab, slots: int = 1) -> Generator[Coordinator]:
    """A coordinator that serves, stopped at the end."""
    server = Coordinator(lab, slots)
    server.start()
    try:
        yield server
    finally:
        server.stop()


class OddServer:
    """A FleetLock server with one slot that does as it is told: ``mode`` is what it does to coming requests.

    ``honest``; ``slow``: grants when it is ``freed``; ``busy``: all slots are taken, as airlock says it; ``hang``:
    takes the request and never answers; ``portal``: a login page in HTML; ``redirect``; ``amnesia``: grants, and has
    lost that by the next request. It answers ``hangs_after`` (a verb) once, and hangs whenever asked that again.
    """

    def __init__(self, lab: Lab) -> None:
        self.mode = "honest"
        self.hangs_after: str | None = None
        self.asked: list[str] = []
        self.holder: str | None = None
        self.freed = threading.Event()
        self._http = lab.on_network(lambda: _OddHttp(self))
        self._http.daemon_threads = True

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{LOOPBACK}:{self._http.server_port}"

    def start(self) -> None:
        """Serve."""
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        """Let go of everybody who waits, and end."""
        self.freed.set()
        self._http.shutdown()
        self._http.server_close()

    def answer(self, verb: str, holder: str) -> tuple[int, bytes]:
        """What an honest server with one slot says."""
        if verb == "steady-state":
            self.holder = None if self.holder == holder else self.holder
            return 200, b""
        if self.mode == "busy" or self.holder not in {None, holder}:
            return 500, b'{"kind": "failed_lock", "value": "all 1 semaphore slots currently locked"}\n'
        self.holder = None if self.mode == "amnesia" else holder
        return 200, b""


class _OddHttp(ThreadingHTTPServer):
    block_on_close = False

    def __init__(self, odd: OddServer) -> None:
        self.odd = odd
        super().__init__((LOOPBACK, 0), _OddHandler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is an everyday matter here."""


class _OddHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        odd = cast(_OddHttp, self.server).odd
        if self.headers.get(HEADER_NAME) == HEADER_VALUE:
            self._obey(odd)
        else:
            self._refuse(odd)

    def _obey(self, odd: OddServer) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        client = cast("Mapping[str, Mapping[str, str]]", json.loads(self.rfile.read(length)))["client_params"]
        verb = Path(self.path).name
        hangs = odd.mode == "hang" or (odd.hangs_after == verb and verb in odd.asked)
        odd.asked.append(verb)
        match odd.mode:
            case _ if hangs:
                odd.freed.wait(600)
                self.close_connection = True
            case "slow" if verb == "pre-reboot":
                odd.freed.wait(600)
                self._send(*odd.answer(verb, client["id"]), "text/plain")
            case "portal":
                self._send(200, LOGIN_PAGE, "text/html")
            case "redirect":
                self._send(302, b"", "text/plain", location="https://login.example/")
            case _:
                self._send(*odd.answer(verb, client["id"]), "text/plain")

    def _refuse(self, odd: OddServer) -> None:
        """Answer a request without the protocol's header: the probe, which only a portal does not refuse."""
        if odd.mode == "portal":
            self._send(200, LOGIN_PAGE, "text/html")
        else:
            self._send(400, b'{"kind": "invalid_client_identity", "value": "no header"}\n', "text/plain")

    def _send(self, status: int, body: bytes, content_type: str, location: str | None = None) -> None:
        self.send_response_only(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        if location is not None:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def odd_server(lab: Lab) -> Generator[OddServer]:
    """A server that does as it is told, stopped at the end."""
    server = OddServer(lab)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as listener:
        return int(listener.getsockname()[1])
