"""contrib/schema: what the agent says of itself is what the schemas say, and they are no empty promise."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema_rs
import pytest

from tests.fakes import agent_walks as walks
from tests.fakes.builders import Walk, at
from tests.fakes.clock import START
from tests.fakes.snapshots import STAGED
from tidegate.configured import Follows
from tidegate.report.explain import explanation, last_verdicts
from tidegate.report.snapshot import snapshot
from tidegate.settings import Settings

SCHEMAS = Path(__file__).resolve().parents[3] / "contrib/schema"
STATUS, EXPLAIN = (
    jsonschema_rs.validator_for(json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8")))
    for name in ("status", "explain")
)


def plain(document: object) -> object:
    """The document as it is read by others."""
    return json.loads(json.dumps(document))


@pytest.mark.parametrize("walk", walks.EVERY, ids=[made.__name__ for made in walks.EVERY])
def test_every_state_of_the_agent_is_described(walk: Callable[[], Walk]) -> None:
    state = walk().state
    told = snapshot(state, at(0), START, {"version": "0.1.0", "pid": 1, "start_ticks": 1})
    follows = Follows(Settings()).document(START)
    STATUS.validate(plain({**told, "follows": follows, "host": {}, "live": True, "source": "snapshot"}))
    EXPLAIN.validate(plain({**explanation(state, last_verdicts(state)), "source": "bus"}))


@pytest.mark.parametrize(
    "change", [{"state": "bored"}, {"booted": "1"}, {"blocked_by": None}, {"since": None}, {"lock": {}}, {"schema": 2}]
)
def test_what_no_agent_says_is_not(change: dict[str, object]) -> None:
    gates: list[object] = []
    good = {**STAGED, "gates": gates}
    assert STATUS.is_valid(good)
    assert not STATUS.is_valid({**good, **change})


def test_a_document_without_its_keys_is_not_one() -> None:
    assert not STATUS.is_valid({})
    assert not EXPLAIN.is_valid({"schema": 1, "verdict": "wait", "gates": [{"gate": "x"}]})
