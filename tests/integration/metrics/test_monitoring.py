"""contrib/monitoring: the rules, the dashboard and the metrics belong together, by Prometheus' own judgement."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from tests.fakes.clock import FakeClock
from tests.fakes.memory_locks import MemoryLocks
from tests.fakes.samples import Samples
from tests.fakes.snapshots import EVERYTHING, REST, STAGED, Document, attempt
from tests.integration.metrics.conftest import Promtool
from tidegate.clock import rfc3339
from tidegate.coordinator.model import Call
from tidegate.coordinator.web.metrics import Metrics
from tidegate.fleetlock.protocol import ClientParams, Verb
from tidegate.metrics.exposition import text_of
from tidegate.metrics.reading import Reading

MONITORING = Path(__file__).resolve().parents[3] / "contrib/monitoring"
RULES = MONITORING / "tidegate.rules.yml"
DASHBOARD = MONITORING / "tidegate-dashboard.json"

# promtool's time begins in 1970; rules are looked at after a day of samples, which is longer than any of them waits.
END_SECS = 86400
STEP = "10m"
STEPS = 144
MINUTE, HOUR, DAY = 60, 3600, 86400

OUTSIDE = frozenset({"node_textfile_mtime_seconds"})
"""What node_exporter adds to the metrics of a file."""


def ago(secs: float) -> str:
    """The instant that is so long before the rules are looked at."""
    return rfc3339(datetime.fromtimestamp(END_SECS - secs, UTC))


def host_text(document: Mapping[str, object], *, live: bool = True) -> bytes:
    """The real metrics of a host that says this."""
    return text_of(Reading(document, live=live))


async def coordinator_text(*, away: bool = False) -> bytes:
    """The real metrics of a coordinator with two groups, of which one is full and waited for."""
    locks = MemoryLocks(clock=FakeClock(datetime.fromtimestamp(END_SECS - 5 * HOUR, UTC)), away=away)
    metrics = Metrics(locks, FakeClock(datetime.fromtimestamp(END_SECS, UTC)))
    if not away:
        for holder in ("one", "two"):
            await locks.call(Call(Verb.PRE_REBOOT, ClientParams(holder, "default"), "192.0.2.1"))
    for verb in Verb:
        metrics.incoming(verb)
        metrics.answered(verb, "granted", 3.0)
    return await metrics.exposition()


def expressions() -> Iterator[str]:
    """Every query of the dashboard, with its variables filled in."""
    dashboard = json.loads(DASHBOARD.read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield re.sub(r"\$(instance|group)", ".*", target["expr"]).replace("$__rate_interval", "30m")


def alerts() -> dict[str, str]:
    """The text of each rule by its name."""
    _, *rules = re.split(r"^      - alert: (\w+)$", RULES.read_text(), flags=re.M)
    return dict(zip(rules[::2], rules[1::2], strict=True))


def input_series(texts: Mapping[str, bytes]) -> list[Document]:
    """The samples of each instance, held for as long as promtool looks."""
    return [
        {"series": _series(name, {**dict(labels), "instance": instance}), "values": f"{value}+0x{STEPS}"}
        for instance, text in texts.items()
        for name, each in Samples(text).by_name.items()
        for labels, value in each.items()
    ]


def _series(name: str, labels: Mapping[str, str]) -> str:
    return name + "{" + ",".join(f"{key}={json.dumps(value)}" for key, value in labels.items()) + "}"


def promtool_test(folder: Path, texts: Mapping[str, bytes], expected: Mapping[str, Mapping[str, float]]) -> Path:
    """A file of ``promtool test rules``: what ``expected`` queries give, by the labels of their samples."""
    tests = [
        {
            "expr": query,
            "eval_time": f"{END_SECS}s",
            "exp_samples": [{"labels": labels, "value": value} for labels, value in samples.items()],
        }
        for query, samples in expected.items()
    ]
    case = {"interval": STEP, "input_series": input_series(texts), "promql_expr_test": tests}
    document = {"rule_files": [str(RULES)], "evaluation_interval": STEP, "tests": [case]}
    path = folder / "test.yml"
    path.write_text(json.dumps(document))  # JSON is YAML
    return path


# --------------------------------------------------------------------------- they belong together


def test_prometheus_finds_no_fault_with_the_metrics(promtool: Promtool) -> None:
    for text in (host_text(EVERYTHING), host_text(REST), host_text({})):
        assert promtool("check", "metrics", stdin=text) == ""


def test_prometheus_finds_no_fault_with_the_rules(promtool: Promtool) -> None:
    assert f"{len(alerts())} rules found" in promtool("check", "rules", RULES)


def test_every_metric_in_rules_and_dashboard_exists() -> None:
    texts = (host_text(EVERYTHING), asyncio.run(coordinator_text()))
    existing = {name for text in texts for name in Samples(text).by_name}
    named = {
        name
        for query in (*expressions(), *alerts().values())
        for name in re.findall(r"\b(?:tidegate|airlock|node)_[a-z0-9_]+", query)
    }
    assert len(named) > 20, "the search still finds metrics"
    assert named - existing - OUTSIDE == set()


def test_every_query_of_the_dashboard_gives_something(promtool: Promtool, tmp_path: Path) -> None:
    unhealthy = {**EVERYTHING, "state": "paused"}
    texts = {
        "one": host_text(unhealthy),
        "coordinator": asyncio.run(coordinator_text()),
        "clones": re.sub(rb"(flagged_holders\{.*\}) 0", rb"\1 1", asyncio.run(coordinator_text())),
    }
    expected = {f"count({query}) > bool 0": {"{}": 1.0} for query in expressions()}
    assert len(expected) > 25
    promtool("test", "rules", promtool_test(tmp_path, texts, expected))


def test_every_rule_and_every_panel_says_what_it_is_about() -> None:
    for name, rule in alerts().items():
        assert re.search(r"^          summary: ..", rule, re.M), name
        assert re.search(r"^          description: ..", rule, re.M), name
        assert re.search(r"severity: (critical|warning)}", rule), name
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["title"] for panel in panels)


# --------------------------------------------------------------------------- they fire when they should

WELL: Document = {**REST, "last_check": ago(5 * MINUTE), "since": ago(DAY)}
LOCK: Document = {"state": "held", "since": ago(3 * HOUR)}
BAD: Document = {"verdict": "bad", "checks": [{"check": "web", "weight": "required", "state": "failed"}]}
WAITS: Document = {**WELL, **{key: STAGED[key] for key in ("state", "staged", "target", "blocked_by")}}


def waits(gate: str, secs: float) -> Document:
    """A release that ``gate`` has held for so long."""
    rows = [{"gate": gate, "verdict": "wait", "since": ago(secs)}]
    return {**WAITS, "waiting_since": ago(secs), "blocked_by": [gate], "gates": rows}


SITUATIONS: dict[str, tuple[Document, set[str]]] = {
    "at rest": (WELL, set()),
    "updated": ({**WELL, "history": [attempt("applied", ended=ago(HOUR))]}, set()),
    "waits for its window": (waits("periodic", 6 * DAY), set()),
    "waits for weeks": (waits("periodic", 15 * DAY), {"TidegateUpdatePendingForWeeks"}),
    "somebody stays logged in": (waits("sessions", 4 * DAY), {"TidegateGateHoldsForDays"}),
    "a gate of a newer agent": (waits("moon", 4 * DAY), {"TidegateGateHoldsForDays"}),
    "nothing happens": (
        {**WELL, "target": STAGED["target"], "since": ago(8 * DAY)},
        {"TidegateStateUnchangedForDays"},
    ),
    "there is a release since yesterday": ({**WELL, "target": STAGED["target"]}, set()),
    "verifies for ever": (
        {**WELL, "state": "verifying", "target": STAGED["target"], "since": ago(8 * DAY)},
        {"TidegateStateUnchangedForDays"},
    ),
    "nothing to do for a month": ({**WELL, "since": ago(30 * DAY)}, set()),
    "updates are off": (
        {**WELL, "state": "disabled", "updates_enabled": False, "target": STAGED["target"], "since": ago(8 * DAY)},
        set(),
    ),
    "paused": ({**WELL, "state": "paused", "health": BAD}, {"TidegateHostPaused"}),
    "goes on unhealthy": ({**WELL, "health": BAD}, {"TidegateHostUnhealthy"}),
    "rollback hangs": ({**WELL, "rollback_due": {"since": ago(2 * HOUR)}}, {"TidegateRollbackWaits"}),
    "rollback begins": ({**WELL, "rollback_due": {"since": ago(MINUTE)}}, set()),
    "fell back": ({**WELL, "history": [attempt("fell_back")]}, {"TidegateUpdateDidNotLast"}),
    "rejected": ({**WELL, "history": [attempt("rejected")]}, {"TidegateUpdateDidNotLast"}),
    "power cut": ({**WELL, "history": [attempt("not_attempted")]}, set()),
    "three power cuts": ({**WELL, "history": [attempt("not_attempted")] * 3}, {"TidegateAttemptsComeToNothing"}),
    "has the slot": ({**WELL, "lock": {**LOCK, "since": ago(HOUR)}}, set()),
    "keeps the slot": ({**WELL, "lock": LOCK}, {"TidegateLockKept"}),
    "owes the slot": ({**WELL, "lock": {**LOCK, "state": "release_owed"}}, {"TidegateLockKept"}),
    "hears nothing": ({**WELL, "last_check": ago(2 * DAY)}, {"TidegateNoCheck"}),
    "is not to hear": ({**WELL, "last_check": ago(2 * DAY), "state": "disabled", "updates_enabled": False}, set()),
    "fails": (
        {**WELL, "last_error": {"kind": "engine.no-space", "count": 9, "at": ago(7 * HOUR)}},
        {"TidegateFailing"},
    ),
    "failed once": ({**WELL, "last_error": {"kind": "engine.no-space", "count": 1, "at": ago(HOUR)}}, set()),
    "stages for ever": ({**WELL, "state": "staging", "since": ago(7 * HOUR)}, {"TidegateStagingTakesLong"}),
    "stages": ({**WELL, "state": "staging", "since": ago(HOUR)}, set()),
    "bad reload": ({**WELL, "stale_config": {"message": "x"}}, {"TidegateConfigurationBad"}),
    "bad start": ({**WELL, "state": "failed", "blocked_by": ["config"]}, {"TidegateConfigurationBad"}),
    "dead end": ({**WELL, "dead_end": "over"}, {"TidegateDeadEnd"}),
}


def test_each_host_raises_the_alerts_of_its_situation_and_no_others(promtool: Promtool, tmp_path: Path) -> None:
    """All of them at once: promtool takes half a second for a day, and little more for a fleet."""
    query = 'count by (instance, alertname) (ALERTS{alertstate="firing"})'
    fired = [f'{{instance="{host}", alertname="{name}"}}' for host, (_, names) in SITUATIONS.items() for name in names]
    texts = {name: host_text(document) for name, (document, _) in SITUATIONS.items()}
    promtool("test", "rules", promtool_test(tmp_path, texts, {query: dict.fromkeys(fired, 1.0)}))


def expect_alerts(promtool: Promtool, folder: Path, texts: Mapping[str, bytes], names: set[str]) -> None:
    """By promtool, after a day in which nothing changed."""
    query = 'count by (alertname) (ALERTS{alertstate="firing"})'
    expected = {query: {f'{{alertname="{alert}"}}': 1.0 for alert in names}}
    promtool("test", "rules", promtool_test(folder, texts, expected))


def test_an_agent_that_is_gone(promtool: Promtool, tmp_path: Path) -> None:
    expect_alerts(promtool, tmp_path, {"x": host_text(WELL, live=False)}, {"TidegateAgentDown"})
    unreadable = {"x": text_of(Reading(readable=False))}
    expect_alerts(promtool, tmp_path, unreadable, {"TidegateAgentDown", "TidegateSnapshotUnreadable"})


def test_a_release_that_many_hosts_leave(promtool: Promtool, tmp_path: Path) -> None:
    query = 'count(ALERTS{alertstate="firing", alertname="TidegateManyUpdatesDidNotLast"})'
    well, left = (_of_attempts(host_text({**WELL, "history": past})) for past in ([], [attempt("rejected")]))

    def fleet(hosts: int) -> dict[str, bytes]:
        """Three hosts have left it."""
        return {f"well-{n}": well for n in range(hosts - 3)} | {f"left-{n}": left for n in range(3)}

    promtool("test", "rules", promtool_test(tmp_path, fleet(30), {query: {}}))
    promtool("test", "rules", promtool_test(tmp_path, fleet(29), {query: {"{}": 1.0}}))


def _of_attempts(text: bytes) -> bytes:
    """The little that counts here: promtool takes its time with thousands of series."""
    return b"".join(re.findall(rb"^tidegate_(?:agent_up|last_attempt_outcome).*\n", text, re.M))


def test_a_file_that_nobody_writes_any_more(promtool: Promtool, tmp_path: Path) -> None:
    path = "/var/lib/prometheus/node-exporter/tidegate.prom"
    old, new = (f'node_textfile_mtime_seconds{{file="{path}"}} {END_SECS - secs}\n' for secs in (1000, 100))
    expect_alerts(promtool, tmp_path, {"x": old.encode()}, {"TidegateTextfileOld"})
    expect_alerts(promtool, tmp_path, {"x": new.encode()}, set())


def test_a_coordinator_whose_group_is_full_and_one_without_its_store(promtool: Promtool, tmp_path: Path) -> None:
    full = {"TidegateGroupFull", "TidegateSlotKept"}
    expect_alerts(promtool, tmp_path, {"x": asyncio.run(coordinator_text())}, full)
    away = {"x": asyncio.run(coordinator_text(away=True))}
    expect_alerts(promtool, tmp_path, away, {"TidegateCoordinatorWithoutStore"})
