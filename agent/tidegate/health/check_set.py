"""Probe the health of a host: run all of its checks concurrently."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from tidegate.errors import ErrorKind, TidegateError
from tidegate.health.base import Finding, ProbeResult, Weight
from tidegate.health.check import Check

PROBE_TIMEOUT_SECS = 8 * 60.0
"""For each check of a probe, the wait for a free slot included. What a check itself takes is limited to 5 minutes."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CheckSources:
    """Resources of a probe besides the configured checks.

    ``executables`` lists the programs in the ``health.d`` folders. ``no_failed_units`` makes the check that stands in
    where no other one is required; it is given the units that had failed in the previous release. ``journal_cursor``
    reads the end of the journal.
    """

    executables: Callable[[], Awaitable[Sequence[Check]]]
    no_failed_units: Callable[[frozenset[str]], Check]
    journal_cursor: Callable[[], Awaitable[str]]


class CheckSet:
    """Implements :class:`~tidegate.health.base.HealthProber`. The check ``boot`` is always run."""

    def __init__(self, boot: Check, configured: Sequence[Check], sources: CheckSources) -> None:
        self._boot = boot
        self._configured = tuple(configured)
        self._sources = sources

    async def probe(self, failed_before: frozenset[str]) -> ProbeResult:
        """Run every check once, concurrently. A check that cannot be run has not passed.

        Raises:
            TidegateError: ``health.unreadable``: not one of the checks could be run.
        """
        listed = await self._executables()
        own = (*self._configured, *(listed if isinstance(listed, tuple) else ()))
        enough = isinstance(listed, Finding) or any(check.weight is Weight.REQUIRED for check in own)
        checks = (self._boot, *own, *(() if enough else (self._sources.no_failed_units(failed_before),)))
        completed = await asyncio.gather(*(_run(check) for check in checks))
        if all(isinstance(one, _NotRun) for one in completed):
            raise _unreadable(completed[0].finding)
        findings = [one.finding for one in completed]
        return await self._result((*findings, *((listed,) if isinstance(listed, Finding) else ())))

    async def _executables(self) -> tuple[Check, ...] | Finding:
        """The programs in folders; where they cannot be listed, a required finding that has not passed."""
        try:
            return tuple(await self._sources.executables())
        except TidegateError as err:
            return Finding("executables", Weight.REQUIRED, passed=False, detail=f"cannot be listed: {err}")

    async def _result(self, findings: tuple[Finding, ...]) -> ProbeResult:
        if all(finding.passed or finding.weight is Weight.ADVISORY for finding in findings):
            return ProbeResult(findings)
        try:
            return ProbeResult(findings, await self._sources.journal_cursor())
        except TidegateError as err:
            _log.info("the end of the journal cannot be determined: %s", err)
            return ProbeResult(findings)


@dataclass(frozen=True, slots=True)
class _Completed:
    """A check and its finding."""

    finding: Finding


class _NotRun(_Completed):
    """A check that could not be run; its finding says why."""


async def _run(check: Check) -> _Completed:
    """Run one check. Fail closed: one that raises or does not end in time has not passed."""
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_SECS):
            result = await check.run()
    except TidegateError as err:
        return _NotRun(_failed(check, f"cannot be run: {err}"))
    except TimeoutError:
        return _NotRun(_failed(check, f"no answer within {PROBE_TIMEOUT_SECS:.0f} s"))
    except Exception as err:  # noqa: BLE001 - a defect in one check must not keep the others from being run
        _log.exception("the check %s failed", check.name)
        return _NotRun(_failed(check, f"internal error in the check: {type(err).__name__}; see the journal"))
    return _Completed(Finding(check.name, check.weight, result.passed, result.detail))


def _failed(check: Check, detail: str) -> Finding:
    return Finding(check.name, check.weight, passed=False, detail=detail)


def _unreadable(first: Finding) -> TidegateError:
    message = f"no health check of this boot can be run: {first.check}: {first.detail}"
    return TidegateError(ErrorKind.HEALTH_UNREADABLE, message, "check that dbus is running, and systemctl --failed")
