"""The rules of one step of a plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidegate.clock import Now
from tidegate.errors import Failure
from tidegate.machine.events import Result

if TYPE_CHECKING:
    from tidegate.machine.phases.executing import Executing
    from tidegate.machine.state import State, Step


@dataclass(frozen=True, slots=True)
class StepRule:
    """How a step begins, what its answer and its error lead to, and the sentence about it for people."""

    begin: Callable[[State, Executing, Now], Step]
    answered: Callable[[State, Executing, Result, Now], Step]
    failed: Callable[[State, Executing, Failure, Now], Step]
    sentence: str
