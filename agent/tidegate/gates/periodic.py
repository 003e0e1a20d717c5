"""Strategy ``periodic``: allow a reboot within weekly windows only."""

from __future__ import annotations

from tidegate.calendar.schedule import Schedule
from tidegate.gates.base import Allow, Question, Verdict, Wait, override_command
from tidegate.release import Purpose


class Periodic:
    """Allows while a window is open, until it closes; otherwise waits until the next one opens for this host."""

    name = "periodic"
    guards = frozenset({Purpose.UPDATE})
    overridable = True

    _remedy = f"see tidegate windows; or {override_command(name)}"

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule

    async def ask(self, question: Question) -> Verdict:
        """The state of the schedule by the wall clock."""
        state = self._schedule.state(question.now.wall)
        if state.is_open:
            return Allow(self.name, until=state.until)
        reason = "no window is open" if state.until is not None else "no window is open, and none will open"
        return Wait(self.name, reason, state.until, self._remedy)
