"""People who are logged in to a host: a terminal each, and a session by way of PAM."""

from __future__ import annotations

from tests.e2e.lab.guest import Guest
from tests.e2e.lab.waiting import wait_for

SETTLE_SECS = 120.0
PYTHON = "/usr/lib/tidegate/bin/python"

SCREEN = "/run/screen.py"
PERSON_AT_A_SCREEN = """
import os, sys
name = sys.argv[1]
screen, inside = os.openpty()
os.fchown(inside, 0, 5)
with open(f"/run/{name}.tty.new", "w") as file:
    file.write(os.ttyname(inside))
os.rename(f"/run/{name}.tty.new", f"/run/{name}.tty")
with open(f"/run/{name}.seen", "ab", buffering=0) as seen:
    while True:
        seen.write(os.read(screen, 4096))
"""


def log_in(guest: Guest, name: str, user: str, mode: str = "620") -> str:
    """Let ``user`` log in on a terminal of its own, which has this ``mode``; gives its name as logind has it."""
    guest.put(SCREEN, PERSON_AT_A_SCREEN)
    guest.sh(f"systemd-run -q --unit=screen-{name} {PYTHON} {SCREEN} {name}")
    tty = wait_for(lambda: guest.read(f"/run/{name}.tty"), f"the terminal of {name}", deadline_secs=SETTLE_SECS)
    on_it = f"-p PAMName=login -p User={user} -p StandardInput=tty -p StandardOutput=tty -p TTYPath={tty}"
    guest.sh(f"systemd-run -q --unit=login-{name} {on_it} sleep inf")
    terminal = tty.removeprefix("/dev/")
    wait_for(
        lambda: terminal in guest.sh("loginctl list-sessions"), f"the session of {name}", deadline_secs=SETTLE_SECS
    )
    guest.sh(f"chmod {mode} {tty}; chgrp tty {tty}")
    return terminal


def has_read(guest: Guest, name: str) -> str:
    """What came to the terminal of ``name``."""
    return guest.read(f"/run/{name}.seen") or ""
