"""Ask all gates of a host."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

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
