"""People who are logged in to a host: a terminal each, and a session by way of PAM."""

from __future__ import annotations

from tests.e2e.bed.machine import Machine

SETTLE_SECS = 30.0
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


def log_in(machine: Machine, name: str, user: str) -> str:
    """Let ``user`` log in on a terminal of its own, which takes messages; gives the terminal's name."""
    machine.put(SCREEN, PERSON_AT_A_SCREEN)
    machine.sh(f"systemd-run -q --unit=screen-{name} {PYTHON} {SCREEN} {name}")
    tty = machine.wait_for(
        lambda: machine.guest.read(f"/run/{name}.tty"), f"the terminal of {name}", deadline_secs=SETTLE_SECS
    )
    on_it = f"-p PAMName=login -p User={user} -p StandardInput=tty -p StandardOutput=tty -p TTYPath={tty}"
    machine.sh(f"systemd-run -q --unit=login-{name} {on_it} sleep inf")
    terminal = tty.removeprefix("/dev/")
    machine.wait_for(
        lambda: terminal in machine.sh("loginctl list-sessions"), f"the session of {name}", deadline_secs=SETTLE_SECS
    )
    machine.sh(f"chgrp tty {tty}; chmod 620 {tty}")
    return terminal


def has_read(machine: Machine, name: str) -> str:
    """What came to the terminal of ``name``."""
    return machine.guest.read(f"/run/{name}.seen") or ""
