"""polkit as far as the agent talks to it: who may do what."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import cast

from tidegate.bus.bus import Bus
from tidegate.bus.interface import Caller, Interface, Method
from tidegate.services.polkit import AUTHORITY


class FakePolkit:
    """Allows ``actions``; with an ``error`` it answers with that, and one that ``hangs`` never answers."""

    def __init__(self, *actions: str, error: Exception | None = None, hangs: bool = False) -> None:
        self.asked: list[tuple[object, ...]] = []
        self._allowed = set(actions)
        self._error = error
        self._hangs = hangs

    @property
    def actions(self) -> list[str]:
        """What it was asked about."""
        return [cast(str, args[1]) for args in self.asked]

    @property
    def subjects(self) -> list[str]:
        """Whom it was asked about, by their unique names."""
        subjects = [cast("tuple[str, Mapping[str, str]]", args[0]) for args in self.asked]
        assert {kind for kind, _ in subjects} <= {"system-bus-name"}
        return [details["name"] for _, details in subjects]

    async def serve(self, bus: Bus) -> None:
        """Be polkit on ``bus``."""
        takes = {"subject": "(sa{sv})", "action": "s", "details": "a{ss}", "flags": "u", "cancellation": "s"}
        method = Method("CheckAuthorization", self._check, takes, {"result": "(bba{ss})"})
        bus.export(AUTHORITY.path, Interface(AUTHORITY.interface, (method,)))
        await bus.request_name(AUTHORITY.destination)

    async def _check(self, _caller: Caller, *args: object) -> tuple[object, ...]:
        self.asked.append(args)
        if self._hangs:
            await asyncio.Event().wait()
        if self._error is not None:
            raise self._error
        no_details: dict[str, str] = {}
        return ((args[1] in self._allowed, False, no_details),)
