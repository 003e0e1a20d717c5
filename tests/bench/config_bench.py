"""How long configuration and calendar take: ``python -m tests.bench.config_bench``.

Prints the best and the median of several runs, in CPU time of this process; both aims are in the table.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from tidegate.calendar.exclusions import Exclusions, parse_exclusion
from tidegate.calendar.schedule import Schedule
from tidegate.calendar.spec import WindowSpec
from tidegate.calendar.weekly import WallCalendar
from tidegate.config.show import as_json
from tidegate.settings import load

SNIPPETS = 1_000
WINDOWS = 10_000
QUESTIONS = 2_000
RUNS = 7
START = datetime(2026, 1, 1, tzinfo=UTC)

SNIPPET = """# snippet {n}, of the size that people write
[agent.timing]
steady_interval_secs = {interval}

[identity]
group = "group-{n}"
rollout_wariness = 0.5

[cincinnati]
base_url = "https://updates-{n}.example.com/${{stream}}/"

[updates]
enabled = true
strategy = "periodic"

[updates.periodic]
time_zone = "Europe/Berlin"

[[updates.periodic.window]]
days = ["Sat", "Sun"]
start_time = "{hour:02}:30"
length_minutes = 60
"""


def main() -> None:
    """Run everything and print the table."""
    print(f"{'what':<62}{'best':>12}{'median':>12}  aim")
    with tempfile.TemporaryDirectory() as folder:
        _bench_load(Path(folder))
    for name, zone in (("UTC", UTC), ("Berlin", ZoneInfo("Europe/Berlin"))):
        schedule = Schedule(WallCalendar(_windows(), Exclusions()), zone)
        _bench_questions(f"{WINDOWS:,} windows, {name}", schedule)
    excluded = Exclusions(tuple(map(parse_exclusion, ("2026-12-24..2027-01-02", "FREQ=MONTHLY;BYDAY=-1FR"))))
    spread = Schedule(WallCalendar(_windows(), excluded), ZoneInfo("Europe/Berlin"), timedelta(minutes=2), "host")
    _bench_questions(f"{WINDOWS:,} windows, Berlin, excluded, spread", spread)
    single = Schedule(WallCalendar([WindowSpec((5,), 1410, 60)], Exclusions()), ZoneInfo("Europe/Berlin"))
    _bench_questions("1 window, Berlin", single)
    _report(f"build {WINDOWS:,} windows", _timed(lambda: WallCalendar(_windows(), Exclusions())), "")


def _bench_load(folder: Path) -> None:
    for n in range(SNIPPETS):
        (folder / f"{n:04}.toml").write_text(SNIPPET.format(n=n, interval=300 + n, hour=n % 24), encoding="utf-8")

    def load_with_origins() -> None:
        loaded = load([folder])
        assert loaded.settings is not None, loaded.problems
        assert len(as_json(loaded.settings, loaded.origins)) > 10

    _report(f"{SNIPPETS:,} snippets read and merged", _timed(lambda: load([folder])), "150 ms")
    _report(f"{SNIPPETS:,} snippets merged, each origin with its line", _timed(load_with_origins), "")


def _bench_questions(name: str, schedule: Schedule) -> None:
    rng = random.Random(1)
    instants = [START + timedelta(seconds=rng.randrange(366 * 86400)) for _ in range(QUESTIONS)]
    _report(f"{name}: open?", _timed(lambda: [schedule.is_open(at) for at in instants], QUESTIONS), "10 us")
    _report(f"{name}: until when?", _timed(lambda: [schedule.state(at) for at in instants], QUESTIONS), "")


def _windows() -> list[WindowSpec]:
    rng = random.Random(2)
    return [WindowSpec((rng.randrange(7),), rng.randrange(1440), rng.randint(1, 2)) for _ in range(WINDOWS)]


def _timed(do: Callable[[], object], times: int = 1) -> list[float]:
    took: list[float] = []
    for _ in range(RUNS):
        start = time.process_time()
        do()
        took.append((time.process_time() - start) / times)
    return took


def _report(name: str, took_secs: list[float], aim: str) -> None:
    print(f"{name:<62}{_human(min(took_secs)):>12}{_human(statistics.median(took_secs)):>12}  {aim}")


def _human(secs: float) -> str:
    return f"{secs * 1e3:.1f} ms" if secs >= 1e-3 else f"{secs * 1e6:.2f} us"


if __name__ == "__main__":
    main()
