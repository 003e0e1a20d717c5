"""Runs the handlers of the calls that come in, beside each other, and sends what they answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

from tidegate.bus import errors
from tidegate.bus.call_limits import Places, too_many
from tidegate.bus.callers import Callers
from tidegate.bus.channel import Link
from tidegate.bus.exports import Exports, Request
from tidegate.bus.interface import Caller
from tidegate.bus.message import Kind, Message, unwrapped
from tidegate.errors import TidegateError

_DEFECT_REMEDY = "the journal of the service says more; report the defect with that"

_log = logging.getLogger(__name__)


class Server:
    """The serving side of one connection. ``identify`` finds out who is behind a unique name."""

    def __init__(self, link: Link, identify: Callable[[str], Awaitable[Caller]]) -> None:
        self.exports = Exports()
        """What is served."""
        self._link = link
        self._callers = Callers(identify)
        self._places = Places()
        self._running: set[asyncio.Task[None]] = set()

    def take(self, call: Message) -> None:
        """Start to handle ``call``."""
        if not self._places.take(call.sender, self._callers.uid_of(call.sender)):
            self._refuse(call, too_many())
            return
        task = asyncio.create_task(self._handle(call), name=f"call of {call.member}")
        self._running.add(task)
        task.add_done_callback(lambda task: self._handled(task, call.sender))

    async def finish(self, timeout_secs: float) -> None:
        """Wait until the calls that have come in are answered, but no longer than this."""
        if self._running:
            await asyncio.wait(self._running, timeout=timeout_secs)

    async def stop(self) -> None:
        """Cancel what still runs, and wait until it has ended. Whoever stops from inside a call is spared."""
        running = self._running - {asyncio.current_task()}
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _handled(self, task: asyncio.Task[None], sender: str) -> None:
        self._running.discard(task)
        self._places.leave(sender)

    async def _handle(self, call: Message) -> None:
        """Answer one call, whatever its handler does."""
        try:
            answer = await self._answer(call)
            self._reply(call, answer)
        except errors.ErrorReply as error:
            self._refuse(call, error)
        except TidegateError as error:
            self._fail(call, errors.name_of(error.kind), error.message, error.remedy)
        except Exception:  # noqa: BLE001 - the journal has the traceback, the caller has not
            _log.exception("%s.%s failed", call.interface, call.member)
            self._fail(call, errors.INTERNAL, f"{call.member} met a defect", _DEFECT_REMEDY)

    async def _answer(self, call: Message) -> Message:
        args = tuple(unwrapped(value) for value in call.body)
        request = Request(call.path, call.interface, call.member, call.signature, args)
        caller = await self._callers.identify(call.sender)
        with self._places.of_user(caller.uid):
            reply = await self.exports.answer(request, caller)
        return Message(Kind.RETURN, signature=reply.signature, body=reply.values)

    def _refuse(self, call: Message, error: errors.ErrorReply) -> None:
        self._fail(call, error.error_name, error.text)

    def _fail(self, call: Message, error_name: str, *texts: str) -> None:
        self._reply(call, Message(Kind.ERROR, error_name=error_name, signature="s" * len(texts), body=texts))

    def _reply(self, call: Message, answer: Message) -> None:
        if call.wants_reply:
            self._link.send(replace(answer, destination=call.sender, answers=call.serial))
