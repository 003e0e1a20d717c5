"""``[[health.unit]]``: a systemd unit is active."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidegate.config.keys import key, required
from tidegate.config.kinds.scalar import Text
from tidegate.health.spec import NAME, NAME_DOC, WEIGHT, WEIGHT_DOC, CheckSpec

if TYPE_CHECKING:
    from tidegate.health.check import Check
    from tidegate.health.select import HealthSources

_UNIT_TYPES = "service|socket|target|mount|automount|swap|timer|path|slice|scope|device"
UNIT = re.compile(rf"[A-Za-z0-9:_.\\@-]{{1,240}}\.(?:{_UNIT_TYPES})")
UNIT_WORDS = 'the name of a unit with its suffix, such as "web.service"'


@dataclass(frozen=True, slots=True)
class UnitCheck:
    """``[[health.unit]]``: a systemd unit is active."""

    name: str = required(NAME, NAME_DOC)
    unit: str = required(Text(UNIT, UNIT_WORDS), "The unit that must be active.")
    weight: str = key("required", WEIGHT, WEIGHT_DOC)


def _build(checks: Sequence[UnitCheck], sources: HealthSources) -> Iterator[Check]:
    from tidegate.health.unit import UnitActive  # noqa: PLC0415 - see CheckSpec

    yield from (UnitActive(check, sources.systemd) for check in checks)


SPEC = CheckSpec("unit", "Units that must be active.", UnitCheck, _build, rank=1)
