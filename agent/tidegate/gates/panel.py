"""All gates of a host, asked together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tidegate.errors import TidegateError
from tidegate.gates.base import Gate, Question, Verdict, Wait

ANSWER_DEADLINE_SECS = 30.0
"""For one gate. A gate asks local services or one lock server; both answer or fail well within this."""


async def ask_all(gates: Sequence[Gate], question: Question) -> tuple[Verdict, ...]:
    """Ask the gates in order, up to and including the first that says wait.

    The rest is not asked: the order is cheapest first and the fleet lock last, and a lock must not be taken while
    something local says no.
    """
    verdicts: list[Verdict] = []
    for gate in gates:
        if question.purpose not in gate.guards:
            continue
        verdicts.append(await _ask(gate, question))
        if isinstance(verdicts[-1], Wait):
            break
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
