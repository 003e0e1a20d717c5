"""All gates of a host, asked together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from tidegate.errors import TidegateError
from tidegate.gates.base import Allow, Gate, Question, Verdict, Wait

ANSWER_DEADLINE_SECS = 30.0
"""For one gate. A gate asks local services or one lock server; both answer or fail well within this."""


async def ask_all(
    gates: Sequence[Gate], question: Question, overrides: frozenset[str] = frozenset()
) -> tuple[Verdict, ...]:
    """Ask every gate that guards the question's purpose, in order; each hears how long those before it allow.

    Asking changes nothing, so all are asked, whatever the first ones say: who waits wants to know of every reason.
    The fleet lock is not among them: it is taken by the machine, and only where everything here allows.
    """
    verdicts: list[Verdict] = []
    for gate in gates:
        if question.purpose not in gate.guards:
            continue
        if gate.name in overrides and gate.overridable:
            verdicts.append(Allow(gate.name, "passed over by a person"))
            continue
        verdict = await _ask(gate, question)
        verdicts.append(verdict)
        if isinstance(verdict, Allow) and verdict.until is not None:
            shuts_at = verdict.until if question.shuts_at is None else min(question.shuts_at, verdict.until)
            question = replace(question, shuts_at=shuts_at)
    return tuple(verdicts)


async def _ask(gate: Gate, question: Question) -> Verdict:
    """Fail closed: a gate that cannot answer holds the reboot."""
    try:
        async with asyncio.timeout(ANSWER_DEADLINE_SECS):
            return await gate.ask(question)
    except TidegateError as err:
        return Wait(gate.name, f"no answer: {err.message}", remedy=err.remedy)
    except TimeoutError:
        return Wait(gate.name, f"no answer within {ANSWER_DEADLINE_SECS:.0f} s")
    except Exception as err:  # noqa: BLE001 - a defect in one gate must neither allow a reboot nor end the agent
        return Wait(gate.name, f"the gate failed: {type(err).__name__}: {err}")
