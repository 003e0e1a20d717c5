"""What is known of a gate: imported by :mod:`.observe`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

from contrib.reference import PAGE, updated
from tests.fakes import agent_walks
from tests.fakes.clock import FakeClock
from tidegate.bus.bus import Bus
from tidegate.gates.registry import is_overridable
from tidegate.gates.select import GateSources, local_gates
from tidegate.metrics.progress import GATES
from tidegate.report.explain import Explainer
from tidegate.services.logind import Logind
from tidegate.services.timedate import Timedate
from tidegate.settings import load

_NO_BUS = cast(Bus, None)


def found(root: Path) -> dict[str, object]:
    """The gates in force, the rows of ``explain`` for those that need no service, labels, and the manual."""
    settings = load([root]).settings
    assert settings is not None
    gates = local_gates(settings, GateSources(Logind(_NO_BUS), Timedate(_NO_BUS), 0.0))
    alone = [gate for gate in gates if gate.name == "tide"]
    state = agent_walks.waits().state
    explained = asyncio.run(Explainer(FakeClock(), lambda: alone, lambda: state).explain())
    return {
        "gates": [gate.name for gate in gates],
        "explained": explained["gates"],
        "labels": GATES,
        "page": updated(PAGE.read_text(encoding="utf-8")),
        "overridable": is_overridable("tide"),
    }
