"""The processes of the lab: etcd members and coordinators, which can be killed, frozen and restarted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster.faulty_server import Defect
from tests.cluster.network import Place
from tests.e2e.lab.waiting import wait_for

ETCD = "/usr/bin/etcd"
CLIENT_PORT = 2379
PEER_PORT = 2380
LOCK_PORT = 3333

READY_SECS = 30.0
GONE_SECS = 10.0
LOOK_SECS = 2.0
LAST_WORDS_BYTES = 2000

KEEP_ALL = ("--auto-compaction-retention=0",)
"""Every version of a key is kept: the checker reads them all."""

QUICK_ELECTION = ("--heartbeat-interval=100", "--election-timeout=1000")
"""What etcd has by itself, said so that nobody wonders."""


@dataclass(slots=True)
class Node:
    """A process at a place. ``log`` gets what it says, over all its lives."""

    name: str
    command: Sequence[str]
    url: str
    log: Path
    enter: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it is ready some time later."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.enter, *self.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.env},
                start_new_session=True,
            )

    def wait_ready(self, path: str = "/health") -> None:
        """Until it answers with 200."""
        wait_for(lambda: self._answers(path), f"{self.name} answers", deadline_secs=READY_SECS)

    def kill(self) -> None:
        """As a power cut would: SIGKILL, in whatever state it is."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(GONE_SECS)

    def stop(self) -> int:
        """As systemd would; the exit status."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(GONE_SECS)

    def freeze(self) -> None:
        """As a hypervisor would: it does not run, and does not know."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it run again."""
        self._signal(signal.SIGCONT)

    def last_words(self) -> str:
        """The end of its log."""
        return self.log.read_bytes()[-LAST_WORDS_BYTES:].decode(errors="replace")

    def _answers(self, path: str) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} has ended with {self.process.returncode}:\n{self.last_words()}")
        try:
            with urllib.request.urlopen(self.url + path, timeout=LOOK_SECS) as reply:
                return int(reply.status) == 200
        except (urllib.error.URLError, OSError):
            return False

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)


def member(place: Place, cluster: Sequence[Place], folder: Path) -> Node:
    """A member of etcd, at a place of its own."""
    peers = ",".join(f"{one.name}=http://{one.address}:{PEER_PORT}" for one in cluster)
    own, peer = f"http://{place.address}:{CLIENT_PORT}", f"http://{place.address}:{PEER_PORT}"
    command = [ETCD, f"--name={place.name}", f"--data-dir={folder / place.name}", *KEEP_ALL, *QUICK_ELECTION]
    command += [f"--listen-client-urls={own}", f"--advertise-client-urls={own}"]
    command += [f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}"]
    command += [f"--initial-cluster={peers}", "--initial-cluster-state=new"]
    return Node(place.name, command, own, folder / f"{place.name}.log", place.enter)


def lone_member(folder: Path, port: int, peer_port: int) -> Node:
    """An etcd of one member on loopback."""
    own, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer_port}"
    command = [ETCD, "--name=one", f"--data-dir={folder / 'etcd'}", *KEEP_ALL]
    command += [f"--listen-client-urls={own}", f"--advertise-client-urls={own}"]
    command += [f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=one={peer}"]
    return Node("etcd", command, own, folder / "etcd.log")


def coordinator(name: str, config: Path, url: str, log: Path, enter: Sequence[str] = ()) -> Node:
    """``tidegate coordinator serve`` with a folder of snippets, in which its store and address are."""
    command = [sys.executable, "-m", "tidegate", "coordinator", "serve", "--config", str(config)]
    return Node(name, command, url, log, enter, {"RUNTIME_DIRECTORY": str(config)})  # its operators' socket


def faulty(
    defect: Defect, name: str, listen: str, members: str, slots: Mapping[str, int], log: Path, enter: Sequence[str]
) -> Node:
    """A server in a coordinator's place that is known to be wrong."""
    command = [sys.executable, "-m", "tests.cluster.faulty_server", defect.value, listen, members, json.dumps(slots)]
    return Node(name, command, f"http://{listen}", log, enter)


def snippet(*, listen: str, store: str, slots: Mapping[str, int]) -> str:
    """A coordinator's configuration."""
    tables = [f"[[group]]\nname = {json.dumps(name)}\nslots = {number}\n" for name, number in slots.items()]
    own = f"[coordinator]\nlisten = {json.dumps(listen)}\nstore = {json.dumps(store)}\ninsecure_http = true\n"
    return "\n".join(['group_merge = "replace"\n', *tables, own])
