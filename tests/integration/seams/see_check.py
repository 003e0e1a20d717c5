"""What is known of a kind of health check: imported by :mod:`.observe`."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import cast

from tests.fakes.clock import FakeClock
from tidegate.bus.bus import Bus
from tidegate.config.reference import reference
from tidegate.errors import ErrorKind, TidegateError
from tidegate.health.select import checks_for
from tidegate.net.client import NetClient
from tidegate.services.systemd import Systemd
from tidegate.settings import Settings, load


class NoBus:
    """A bus on which nobody answers."""

    async def call(self, *arguments: object, **named: object) -> tuple[object, ...]:
        raise TidegateError(ErrorKind.BUS_UNREACHABLE, "there is no bus")


def found(root: Path) -> dict[str, object]:
    """The findings of a probe, and the reference."""
    settings = load([root]).settings
    assert settings is not None
    bus = cast(Bus, NoBus())
    prober = checks_for(settings, Systemd(bus), NetClient(), bus, FakeClock())
    result = asyncio.run(prober.probe(frozenset()))
    return {"findings": [asdict(finding) for finding in result.findings], "reference": reference(Settings)}
