"""A real etcd of one member on loopback, in a folder of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.fakes.free_port import free_port
from tests.fakes.plain_http import NO_TLS

START_SECS = 20.0
STOP_SECS = 10.0
TRIES = 3
"""Between the moment a port was free and the moment etcd takes it, anybody may."""


@dataclass
class EtcdServer:
    """One that answers. ``arguments`` are etcd's own, ``scheme`` is https where they turn TLS on."""

    folder: Path
    arguments: tuple[str, ...] = ()
    scheme: str = "http"
    port: int = 0
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        """For ``open_store``."""
        return f"{'etcds' if self.scheme == 'https' else 'etcd'}://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Of its gateway."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def start(self) -> None:
        """On the port that it had before, if any; returns when it takes connections."""
        for _ in range(1 if self.port else TRIES):
            port = self.port or free_port()
            self._process = _spawn(self.folder, self.scheme, port, self.arguments)
            if _answers(port, self._process):
                self.port = port
                return
            self.kill()
        log = (self.folder / "log").read_text(errors="replace")[-2000:]
        raise AssertionError(f"etcd does not start:\n{log}")

    def freeze(self) -> None:
        """It is there, and does nothing; its last thread has stopped when this returns."""
        self._signal(signal.SIGSTOP)
        assert self._process is not None
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)

    def thaw(self) -> None:
        """It goes on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """At once, as by a power cut."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(STOP_SECS)

    def etcdctl(self, *arguments: str) -> str:
        """What Debian's etcdctl (package etcd-client) would do, where that is installed."""
        done = subprocess.run(
            ["etcdctl", f"--endpoints={self.url}", *arguments],
            check=True,
            capture_output=True,
            timeout=START_SECS,
            env={**os.environ, "ETCDCTL_API": "3"},
        )
        return done.stdout.decode()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)


@contextmanager
def etcd_server(folder: Path, *arguments: str, scheme: str = "http") -> Generator[EtcdServer, None, None]:
    """Runs for as long as the block does. Skips where etcd is not installed."""
    if shutil.which("etcd") is None:
        pytest.skip("etcd is not installed (Debian: etcd-server)")
    server = EtcdServer(folder, arguments, scheme)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def _spawn(folder: Path, scheme: str, port: int, arguments: tuple[str, ...]) -> subprocess.Popen[bytes]:
    client, peer = f"{scheme}://127.0.0.1:{port}", f"http://127.0.0.1:{free_port()}"
    command = [
        *("etcd", "--name=one", f"--data-dir={folder / 'data'}", "--log-level=error"),
        *(f"--listen-client-urls={client}", f"--advertise-client-urls={client}"),
        *(f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=one={peer}"),
        *arguments,
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ETCD_")}
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env=environment)


def _answers(port: int, process: subprocess.Popen[bytes]) -> bool:
    """It opens its port once it has a leader, which is itself."""
    deadline = time.monotonic() + START_SECS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(f"http://127.0.0.1:{port}/health", verify=NO_TLS, timeout=1, trust_env=False)
        except httpx.RemoteProtocolError:
            return True  # it wants TLS
        except httpx.TransportError:
            time.sleep(0.02)
        else:
            return True
    return False
