"""All checks of a host, asked together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from tidegate.errors import ErrorKind, TidegateError
from tidegate.health.base import Finding, HealthLook, Weight
from tidegate.health.check import Check

LOOK_SECS = 8 * 60.0
"""For the checks of one look together. Each keeps a tighter limit (at most 5 minutes); some wait for others' turn."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sources:
    """Where checks come from beside those that are configured.

    ``executables`` finds the programs in folders. ``none_failed``, given the units that had failed before, is asked
    where nothing else is required. ``journal_cursor`` tells where the journal stands.
    """

    executables: Callable[[], Awaitable[Sequence[Check]]]
    none_failed: Callable[[frozenset[str]], Check]
    journal_cursor: Callable[[], Awaitable[str]]


class CheckSet:
    """Implements :class:`~tidegate.health.base.HealthProbe`. ``boot`` is asked always, and counts always."""

    def __init__(self, boot: Check, configured: Sequence[Check], sources: Sources) -> None:
        self._boot = boot
        self._configured = tuple(configured)
        self._sources = sources

    async def look(self, failed_before: frozenset[str]) -> HealthLook:
        """Ask every check, side by side.

        Raises:
            TidegateError: ``health.unreadable``: not one of them could be asked.
        """
        listed = await self._listed()
        own = (*self._configured, *(listed if isinstance(listed, tuple) else ()))
        enough = isinstance(listed, Finding) or any(check.weight is Weight.REQUIRED for check in own)
        checks = (self._boot, *own, *(() if enough else (self._sources.none_failed(failed_before),)))
        answers = await asyncio.gather(*(_ask(check) for check in checks))
        if all(isinstance(answer, _Mute) for answer in answers):
            raise _nothing(answers[0].finding)
        findings = [answer.finding for answer in answers]
        return await self._look((*findings, *((listed,) if isinstance(listed, Finding) else ())))

    async def _listed(self) -> tuple[Check, ...] | Finding:
        """The programs in folders; where they cannot be told, that itself is a finding that counts."""
        try:
            return tuple(await self._sources.executables())
        except TidegateError as err:
            return Finding("executables", Weight.REQUIRED, passed=False, detail=f"cannot be listed: {err}")

    async def _look(self, findings: tuple[Finding, ...]) -> HealthLook:
        if all(finding.passed or finding.weight is Weight.ADVISORY for finding in findings):
            return HealthLook(findings)
        try:
            return HealthLook(findings, await self._sources.journal_cursor())
        except TidegateError as err:
            _log.info("where the journal stands is not known: %s", err)
            return HealthLook(findings)


@dataclass(frozen=True, slots=True)
class _Answer:
    """A check was asked."""

    finding: Finding


class _Mute(_Answer):
    """A check could not be asked, which its finding says."""


async def _ask(check: Check) -> _Answer:
    """Fail closed: a check that cannot be made has not passed."""
    try:
        async with asyncio.timeout(LOOK_SECS):
            seen = await check.ask()
    except TidegateError as err:
        return _Mute(_failed(check, f"cannot be asked: {err}"))
    except TimeoutError:
        return _Mute(_failed(check, f"no answer within {LOOK_SECS:.0f} s"))
    except Exception as err:  # noqa: BLE001 - a defect in one check must not keep the others from being asked
        _log.exception("the check %s failed", check.name)
        return _Mute(_failed(check, f"the check met a defect: {type(err).__name__}; the journal has it"))
    return _Answer(Finding(check.name, check.weight, seen.passed, seen.detail))


def _failed(check: Check, detail: str) -> Finding:
    return Finding(check.name, check.weight, passed=False, detail=detail)


def _nothing(first: Finding) -> TidegateError:
    message = f"the health of this boot cannot be asked for: {first.check}: {first.detail}"
    return TidegateError(ErrorKind.HEALTH_UNREADABLE, message, "check that dbus is running, and systemctl --failed")
