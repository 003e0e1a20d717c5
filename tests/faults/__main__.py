"""``python -m tests.faults``: try everything, print what was tried, exit 1 where a rule was broken."""

from __future__ import annotations

import sys

from tests.faults.harness import table, trials
from tests.faults.orders import ORDERED, WAYS_BACK
from tests.faults.scenarios import SCENARIOS


def main() -> int:
    """Run all trials."""
    done = [trial for scenario in (*SCENARIOS, *ORDERED, *WAYS_BACK) for trial in trials(scenario)]
    print(table(done))
    return 1 if any(trial.broken for trial in done) else 0


if __name__ == "__main__":
    sys.exit(main())
