"""The source and the strategies that a host follows, as its reports name them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from tidegate.calendar.schedule import Schedule, State
from tidegate.clock import rfc3339
from tidegate.discovery.select import source_of
from tidegate.errors import TidegateError
from tidegate.gates.periodic import SPEC, schedule_of
from tidegate.net.urls import masked
from tidegate.settings import Settings

_LOOK_AGAIN = timedelta(days=1)
"""How long it stays true that no window opens within the horizon of the calendar."""


class Follows:
    """The key ``follows`` of the snapshot. The search for a window, which may take long, is made once for each."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._schedule = _schedule(settings)
        self._looked_at = self._valid_until = datetime.min.replace(tzinfo=UTC)
        self._window = State(is_open=False, until=None)

    def document(self, now: datetime) -> dict[str, object]:
        """The source (``kind``, ``url``, ``signed``), the strategies, and the window; null where there is none."""
        graph, cincinnati = self._settings.discovery.static_graph, self._settings.cincinnati
        kind = source_of(self._settings)
        urls: Mapping[str, str] = {"static_graph": graph.url, "cincinnati": cincinnati.base_url}
        return {
            "source": {
                "kind": kind,
                "url": masked(urls[kind]) if urls.get(kind) else None,
                "signed": kind == "static_graph" and graph.trust is not None,
            },
            "strategy": list(self._settings.updates.strategy),
            "window": self._window_at(now),
        }

    def _window_at(self, now: datetime) -> dict[str, object] | None:
        if self._schedule is None:
            return None
        if not self._looked_at <= now < self._valid_until:
            self._looked_at, self._window = now, self._schedule.state(now)
            self._valid_until = self._window.until or now + _LOOK_AGAIN
        until = self._window.until
        return {"open": self._window.is_open, "until": until and rfc3339(until)}


def _schedule(settings: Settings) -> Schedule | None:
    """The schedule, if the strategy ``periodic`` is used and can be evaluated; if not, its gate says why."""
    if SPEC.name not in settings.updates.strategy:
        return None
    try:
        return schedule_of(settings)
    except TidegateError:
        return None
