"""Children of the lab: each has a total deadline, and a failure is told with the command and its last words."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

DEFAULT_TIMEOUT_SECS = 60.0
TIMED_OUT_RC = 124  # what timeout(1) says, too
LAST_WORDS_LINES = 15
PLAIN_UMASK = 0o022  # hosts are built the same whatever the caller's is

Command = Sequence[str | Path]


class LabError(Exception):
    """The lab cannot do what was asked. ``message`` has the facts, ``remedy`` what a person does about it."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(f"{message}\n{remedy}" if remedy else message)
        self.message = message
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended; ``rc`` is negative for a signal and 124 for one that was out of time."""

    command: str
    rc: int
    out: str
    err: str

    @property
    def ok(self) -> bool:
        """True when it exited with 0."""
        return self.rc == 0

    def checked(self) -> str:
        """Its standard output; raises :class:`LabError` with its last words unless it succeeded."""
        if not self.ok:
            words = "\n".join((self.out + self.err).rstrip().splitlines()[-LAST_WORDS_LINES:])
            raise LabError(f"exit code {self.rc} from: {self.command}\n{words}")
        return self.out


def run(
    argv: Command,
    *,
    timeout_secs: float = DEFAULT_TIMEOUT_SECS,
    env: Mapping[str, str] | None = None,
    stdin: str = "",
) -> Result:
    """Run ``argv`` to its end or for ``timeout_secs``, in its own session so that Ctrl-C stays with the harness."""
    command = shlex.join(map(str, argv))
    try:
        done = subprocess.run(
            argv,
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_secs,
            env=env,
            check=False,
            start_new_session=True,
            umask=PLAIN_UMASK,
        )
    except subprocess.TimeoutExpired:
        return Result(command, TIMED_OUT_RC, "", f"killed after {timeout_secs:g} s")
    except FileNotFoundError as missing:
        raise LabError(f"{missing.filename} is not installed") from missing
    return Result(command, done.returncode, done.stdout, done.stderr)


def must(
    argv: Command,
    *,
    timeout_secs: float = DEFAULT_TIMEOUT_SECS,
    env: Mapping[str, str] | None = None,
    stdin: str = "",
) -> str:
    """Like :func:`run`; returns standard output and raises :class:`LabError` unless the command succeeds."""
    return run(argv, timeout_secs=timeout_secs, env=env, stdin=stdin).checked()
