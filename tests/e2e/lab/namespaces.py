"""Namespaces that live as long as the harness, and not a moment longer.

One sleeping process holds them. Whatever is mounted or started in them is gone when the harness is gone, killed or not:
the sleeper reads a pipe that only the harness holds, it is PID 1 of their PID namespace, and mounts die with their
namespace. Nothing has to run inside: commands enter them, files are read through /proc.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from tests.e2e.lab.process import DEFAULT_TIMEOUT_SECS, Command, LabError, Result, run

SETTLE_SECS = 10.0  # to end after its pipe was closed, before it is killed

MOUNTS_ONLY: tuple[str, ...] = ()
OWN_NETWORK = ("--net",)

# A child that is handed to the sleeper is reaped by the kernel when SIGCHLD is ignored; exec keeps that.
_SLEEP = "echo ready; trap '' CHLD; exec cat >/dev/null"


@dataclass(slots=True)
class Namespaces:
    """Open namespaces: mounts and processes always, the network too if asked for."""

    sleeper: subprocess.Popen[str]
    own_network: bool

    @classmethod
    def open(cls, kinds: tuple[str, ...], setup: str = ":") -> Namespaces:
        """Make the namespaces and run the shell commands ``setup`` in them.

        Raises:
            LabError: the kernel or the container that we are in does not allow it; the reason is in the message.
        """
        unshare = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"]
        sleeper = subprocess.Popen(
            [*unshare, *kinds, "sh", "-ec", f"{setup}\n{_SLEEP}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        namespaces = cls(sleeper, own_network=kinds == OWN_NETWORK)
        namespaces._wait_until_ready()
        return namespaces

    def _wait_until_ready(self) -> None:
        assert self.sleeper.stdout is not None
        assert self.sleeper.stderr is not None
        if self.sleeper.stdout.readline() != "ready\n":
            reason = self.sleeper.stderr.read().strip()
            self.close()
            raise LabError(f"namespaces cannot be made here: {reason}")

    @property
    def proc(self) -> Path:
        """The sleeper's folder in /proc."""
        return Path(f"/proc/{self.sleeper.pid}")

    def outside(self, path: Path) -> Path:
        """How a path in the namespaces is reached from the harness. Not for ``resolve()``: it leads back out of it."""
        return self.proc / "root" / path.relative_to("/")

    def enter(self, argv: Command) -> Command:
        """The command line that runs ``argv`` in the namespaces."""
        into = [f"--mount={self.proc}/ns/mnt", f"--pid={self.proc}/ns/pid_for_children"]
        network = [f"--net={self.proc}/ns/net"] if self.own_network else []
        return ["nsenter", *into, *network, "--", *argv]

    def run(
        self,
        argv: Command,
        *,
        timeout_secs: float = DEFAULT_TIMEOUT_SECS,
        env: Mapping[str, str] | None = None,
    ) -> Result:
        """Run a command in the namespaces. In errors it is called by its own words, without how it was entered."""
        done = run(self.enter(argv), timeout_secs=timeout_secs, env=env)
        return replace(done, command=shlex.join(map(str, argv)))

    def must(
        self,
        argv: Command,
        *,
        timeout_secs: float = DEFAULT_TIMEOUT_SECS,
        env: Mapping[str, str] | None = None,
    ) -> str:
        """Like :meth:`run`; returns standard output and raises :class:`LabError` unless the command succeeds."""
        return self.run(argv, timeout_secs=timeout_secs, env=env).checked()

    def close(self) -> None:
        """End everything that runs in it and drop its mounts."""
        with self.sleeper:
            if self.sleeper.stdin is not None:
                self.sleeper.stdin.close()
            try:
                self.sleeper.wait(SETTLE_SECS)
            except subprocess.TimeoutExpired:
                self.sleeper.kill()

    def __enter__(self) -> Namespaces:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
