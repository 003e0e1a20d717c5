"""Ask all gates of a host, and apply a deadline to their verdicts."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from tidegate.clock import rfc3339
from tidegate.errors import TidegateError
from tidegate.gates.base import Allow, Gate, Question, Verdict, Wait

GATE_TIMEOUT_SECS = 30.0
"""For one gate. Gates ask local services, which answer or fail well within this."""


async def ask_all(
    gates: Sequence[Gate], question: Question, overrides: frozenset[str] = frozenset()
) -> tuple[Verdict, ...]:
    """Ask every gate that guards the question's purpose, in order. Each learns until when those before it allow.

    All are asked even where the first ones wait, so that an operator sees every reason at once. The fleet lock is not
    one of them: asking for it takes it, so the machine does that once all gates here allow.
    """
    verdicts: list[Verdict] = []
    for gate in gates:
        if question.purpose not in gate.guards:
            continue
        if gate.name in overrides and gate.overridable:
            verdicts.append(Allow(gate.name, "overridden by an operator"))
            continue
        verdict = await _ask(gate, question)
        verdicts.append(verdict)
        if isinstance(verdict, Allow) and verdict.until is not None:
            limits = (verdict.until, question.allowed_until or verdict.until)
            question = replace(question, allowed_until=min(limits))
    return tuple(verdicts)


def past_deadline(
    verdicts: Sequence[Verdict], etiquette: Collection[str], deadline: datetime | None, now: datetime
) -> tuple[Verdict, ...]:
    """The verdicts, where those of ``etiquette`` gates no longer hold the reboot once ``deadline`` has passed. Pure.

    ``deadline`` is an instant, None without one; at that instant it has passed. ``etiquette`` are names of gates: see
    :func:`tidegate.gates.registry.etiquette`. A notice that such a gate waits to give is dropped with its wait.
    """
    if deadline is None or now < deadline:
        return tuple(verdicts)
    return tuple(_yielding(one, deadline) if one.gate in etiquette else one for one in verdicts)


def _yielding(verdict: Verdict, deadline: datetime) -> Verdict:
    if isinstance(verdict, Allow):
        return verdict
    return Allow(verdict.gate, f"the deadline has passed, at {rfc3339(deadline)}; otherwise: {verdict.reason}")


async def _ask(gate: Gate, question: Question) -> Verdict:
    """Ask one gate. Fail closed: one that raises or does not answer in time waits."""
    try:
        async with asyncio.timeout(GATE_TIMEOUT_SECS):
            return await gate.ask(question)
    except TidegateError as err:
        return Wait(gate.name, f"no answer: {err.message}", remedy=err.remedy)
    except TimeoutError:
        return Wait(gate.name, f"no answer within {GATE_TIMEOUT_SECS:.0f} s")
    except Exception as err:  # noqa: BLE001 - a defect in one gate must neither allow a reboot nor end the agent
        return Wait(gate.name, f"internal error in the gate: {type(err).__name__}: {err}")
