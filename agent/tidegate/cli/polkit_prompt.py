"""Prompts of polkit on this terminal, as systemctl has them: an authentication agent for the time of a call."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress

AGENT = "pkttyagent"
READY_SECS = 5.0
"""How long to wait for the agent to register with polkit. Without it, polkit refuses as if there were no terminal."""

STOP_SECS = 2.0


def wanted(given: bool | None) -> bool:  # noqa: FBT001 - the value of an option
    """Whether to prompt: as the option says; without it, for users other than root at a terminal."""
    return given if given is not None else os.geteuid() != 0 and sys.stdin.isatty()


@contextmanager
def prompting(program: str | None = None) -> Generator[None]:
    """Let polkit prompt on this terminal, if its agent for terminals is installed.

    An agent of a desktop session is preferred to it.
    """
    path = shutil.which(program or AGENT)
    if path is None:
        yield
        return
    read_end, write_end = os.pipe()
    try:
        agent = subprocess.Popen([path, "--notify-fd", str(write_end), "--fallback"], pass_fds=(write_end,))
    except OSError:
        agent = None
    finally:
        os.close(write_end)
    try:
        select.select([read_end], [], [], READY_SECS)  # it closes its end once it is registered
        yield
    finally:
        os.close(read_end)
        if agent is not None:
            _stop(agent)


def _stop(agent: subprocess.Popen[bytes]) -> None:
    agent.terminate()  # it restores the terminal's settings
    with suppress(subprocess.TimeoutExpired):
        agent.wait(STOP_SECS)
        return
    agent.kill()
    agent.wait()
