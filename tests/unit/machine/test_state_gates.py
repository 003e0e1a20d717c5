"""The agent's own reasons hold a reboot for the purposes in their specifications, and for no other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fakes.builders import BROKEN, attempt, denial, release, staged
from tidegate.errors import ErrorKind, Failure
from tidegate.gates.registry import all_specs
from tidegate.gates.state import ATTEMPTS, CONFIG, DENIED, UPDATES, VERSION_POLICY
from tidegate.machine.mandate import Mandate
from tidegate.machine.state import Policy, State
from tidegate.machine.state_gates import MAX_ATTEMPTS, agent_waits
from tidegate.records.model import Records
from tidegate.release import Purpose

EVERYTHING_WRONG = (CONFIG, DENIED, VERSION_POLICY, UPDATES, ATTEMPTS)
POLICY = Policy(enabled=False, pin="7", blocked=Failure(ErrorKind.CONFIG_INVALID, "the configuration is invalid"))


def everything_wrong() -> State:
    vain = tuple(attempt(name=str(number)) for number in range(MAX_ATTEMPTS))
    state = staged(records=Records(history=vain)).state
    return replace(state, policy=POLICY, records=replace(state.records, denied=(denial("2"),)))


def holding(mandate: Mandate) -> set[str]:
    return {wait.gate for wait in agent_waits(everything_wrong(), release("2"), mandate)}


@pytest.mark.parametrize("purpose", list(Purpose))
def test_the_reasons_are_those_that_guard_the_purpose(purpose: Purpose) -> None:
    assert holding(Mandate(purpose, "")) == {spec.name for spec in EVERYTHING_WRONG if purpose in spec.guards}


def test_a_request_lifts_what_waits_for_one() -> None:
    update, rollback = (holding(Mandate(purpose, "", request=1)) for purpose in (Purpose.UPDATE, Purpose.ROLLBACK))
    assert update == holding(Mandate(Purpose.UPDATE, "")) - {UPDATES.name}
    assert rollback == holding(Mandate(Purpose.ROLLBACK, "")) - {ATTEMPTS.name}


def test_no_override_lifts_one() -> None:
    overridden = Mandate(Purpose.UPDATE, "", overrides=frozenset(spec.name for spec in EVERYTHING_WRONG))
    assert holding(overridden) == holding(Mandate(Purpose.UPDATE, ""))
    assert not any(spec.overridable for spec in EVERYTHING_WRONG)


@pytest.mark.parametrize("kind", [ErrorKind.CONFIG_INVALID, ErrorKind.RECORD_UNREADABLE])
def test_an_agent_that_is_blocked_waits_under_a_name_that_has_a_specification(kind: ErrorKind) -> None:
    block = Policy(blocked=Failure(kind, BROKEN.message)).block
    assert block is not None
    assert block.gate in {spec.name for spec in all_specs()}
