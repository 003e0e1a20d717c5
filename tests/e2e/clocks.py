"""Hosts whose agent takes it to be another time: see :mod:`tests.e2e.injected_agent`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from tests.e2e import injected_agent
from tests.e2e.agent_host import AgentHost
from tests.e2e.people import PYTHON
from tidegate.clock import SystemClock

SCRIPT = "/etc/lab-agent.py"
DROP_IN = f"[Service]\nExecStart=\nExecStart={PYTHON} -I {SCRIPT}\n"


def inject(host: AgentHost, wall: datetime | None = None) -> None:
    """Give the agent of a host that is off clocks that can be set; they are right unless it is to be ``wall``."""
    host.machine.put(SCRIPT, Path(injected_agent.__file__).read_text(encoding="utf-8"))
    host.machine.put("/etc/systemd/system/tidegate.service.d/50-lab.conf", DROP_IN)
    set_wall(host, SystemClock().now().wall if wall is None else wall, told=False)


def set_wall(host: AgentHost, wall: datetime, *, told: bool = True) -> None:
    """Set the agent's wall clock. It hears of that now, or finds it so at its next start."""
    ahead = wall - SystemClock().now().wall
    _set(host, f"{ahead.total_seconds():.1f} 0", told=told)


def sleep_through(host: AgentHost, secs: float) -> None:
    """Let so many seconds pass in an instant, as suspend does."""
    _set(host, f"0 {secs:.1f}", told=True)


def _set(host: AgentHost, ahead: str, *, told: bool) -> None:
    host.machine.put(str(injected_agent.AHEAD_FILE), ahead)
    if told:
        host.machine.sh("systemctl kill --kill-who=main -s USR1 tidegate.service")
