"""Decisions in the journal of a whole host: found by their fields, explained by the catalogue."""

from __future__ import annotations

import json

import pytest

from tests.e2e.suites import on_one_suite
from tests.e2e.world import MANUAL, World
from tidegate.journal.dedup import MAX_TEXTS
from tidegate.machine.topics import Topic

pytestmark = [pytest.mark.host, on_one_suite]

AT_AGENT = "org.tidegate.Agent1 /org/tidegate/Agent1 org.tidegate.Agent1"
ASK_AS_NOBODY = f"setpriv --reuid=nobody --regid=nogroup --clear-groups busctl call {AT_AGENT} Check 2>/dev/null"


def test_a_decision_is_found_by_its_fields_and_explained(world: World) -> None:
    host = world.started(MANUAL)
    world.source.release(world.new)
    host.machine.sh("tidegate stage")
    kind = Topic.STAGED.message_id
    (entry,) = [json.loads(line) for line in host.machine.sh(f"journalctl -o json MESSAGE_ID={kind}").splitlines()]
    told = {name: entry.get(name) for name in ("TIDEGATE_TOPIC", "TIDEGATE_RELEASE", "TIDEGATE_STATE", "PRIORITY")}
    assert told == {
        "TIDEGATE_TOPIC": "staged", "TIDEGATE_RELEASE": "2", "TIDEGATE_STATE": "staged", "PRIORITY": "5",
    }  # fmt: skip
    assert (entry["_SYSTEMD_UNIT"], entry["SYSLOG_IDENTIFIER"]) == ("tidegate.service", "tidegate")
    assert entry["_TRANSPORT"] == "journal"
    host.machine.sh("journalctl --update-catalog")
    explained = host.machine.sh(f"journalctl --no-pager -x MESSAGE_ID={kind}")
    assert "Subject: Release 2 is staged" in explained
    assert "tidegate explain" in explained


def test_other_messages_are_in_the_journal_once_however_often_they_are_said(world: World) -> None:
    host = world.started(MANUAL)
    host.machine.sh(f"for n in $(seq {MAX_TEXTS + 10}); do {ASK_AS_NOBODY} || true; done; journalctl --sync")
    entries = host.machine.journal("-t", "tidegate")
    refused = [entry for entry in entries if entry["MESSAGE"].startswith("refused check to nobody")]
    assert len(refused) == MAX_TEXTS, "each is of another process, and nobody reads more"
    assert {entry["PRIORITY"] for entry in refused} == {"4"}
    assert {entry["LOGGER"].partition(".")[0] for entry in refused} == {"tidegate"}
