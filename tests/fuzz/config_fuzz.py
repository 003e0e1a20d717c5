"""Throws broken snippets at the configuration: ``python -m tests.fuzz.config_fuzz [--count N] [--seed N]``.

Each input comes to settings or to problems that an operator can read, and never to an exception. An input is a valid
configuration, mangled: bytes flipped, cut, repeated and moved, tokens swapped for tricky ones, values replaced by those
of other types. Where one fails, the seed and the bytes are told.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from tidegate.settings import Loaded, load

DEFAULT_COUNT = 100_000
MAX_PROBLEM_CHARS = 2_000

SEEDS = (
    """[agent.timing]
steady_interval_secs = 300
[identity]
group = "workers"
node_uuid = "e0f3745b108f471cbd4883c6fbed8cdd"
rollout_wariness = 0.5
[updates]
strategy = ["periodic", "fleet_lock"]
[updates.fleet_lock]
base_url = "https://locks.example.com/${group}/"
[updates.periodic]
time_zone = "Europe/Berlin"
window_merge = "append"
spread_minutes = 10
exclude = [2026-12-24, "2026-12-30..2027-01-02", "FREQ=YEARLY;BYMONTH=7;BYMONTHDAY=4"]
[[updates.periodic.window]]
days = ["Sat", "sunday"]
start_time = "23:30"
length_minutes = 60
""",
    """cincinnati = {base_url = "http://updates.example.com:8080/${stream}"}
discovery.source = 'static_graph'
discovery.static_graph.url = 'file:///graph.json'
updates.periodic.window = [{days = ["Mon"], start_time = "1:5", length_minutes = 1}]  # one line
""",
    """"updates" . 'enabled' = false
[identity]
# a comment with [brackets] and "quotes"
group = '''
a'''
""",
)

TOKENS = (
    *(
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        "=",
        ".",
        ",",
        "#",
        '"',
        "'",
        '"""',
        "'''",
        "\\",
        "\n",
        "\r\n",
        "\r",
        "\0",
        "\ufeff",
    ),
    *("0", "-1", "1e999", "nan", "-inf", "0x" + "f" * 5000, "9" * 5000, "1_0", "true", "2026-02-30", "2026-01-01"),
    *("07:32:00", "1979-05-27T07:32:00Z", '"\\ud800"', '"\\u0000"', '"x' + "x" * 500 + '"', "[" * 600, "a." * 1200),
    *("days", "window", "updates", "periodic", "exclude", "strategy", "time_zone", "base_url", "window_merge"),
    *(
        '"localtime"',
        '"Europe"',
        '"../../etc/passwd"',
        '"Europe/Berlin\\u0000"',
        '"25:00"',
        '"24:00"',
        '"Sat"',
        "[]",
        "{}",
    ),
    *(
        '"FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"',
        '"FREQ=YEARLY;BYEASTER=0"',
        '"DTSTART:20260101 FREQ=WEEKLY;INTERVAL=999"',
    ),
    *('"http://[::1"', '"http://x:0/"', '"https://${x}"', '"\u202e"', '"😀"', '"http://\u2100.example/"'),
)


def mangle(rng: random.Random) -> bytes:
    """One input."""
    data = rng.choice(SEEDS).encode()
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        data = rng.choice(MUTATIONS)(rng, data)
    return data


def _flip(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]


def _cut(rng: random.Random, data: bytes) -> bytes:
    low, high = sorted((rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)))
    return data[:low] + data[high:] if rng.random() < 0.5 else data[low:high]


def _repeat(rng: random.Random, data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines or [b"\n"]))
    return b"".join(lines)


def _insert(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(TOKENS).encode() + data[at:]


def _replace_value(rng: random.Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    name, equals, _ = lines[at].partition(b"=")
    lines[at] = name + equals + b" " + rng.choice(TOKENS).encode()
    return b"\n".join(lines)


def _rename(rng: random.Random, data: bytes) -> bytes:
    words = data.split(b" ")
    words[rng.randrange(len(words))] = rng.choice(TOKENS).encode()
    return b" ".join(words)


MUTATIONS: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    _flip,
    _cut,
    _repeat,
    _insert,
    _replace_value,
    _rename,
)


def complaint(loaded: Loaded) -> str | None:
    """Why an outcome is not what an operator may expect, or None."""
    if (loaded.settings is None) is not bool(loaded.problems):
        return "settings and problems do not exclude each other"
    for problem in loaded.problems:
        text = str(problem)
        if not (problem.message and problem.remedy and problem.file):
            return f"a problem says too little: {problem!r}"
        if not text.isprintable() or len(text) > MAX_PROBLEM_CHARS:
            return f"a problem cannot be read: {text!r}"
    return None


def fuzz(count: int, seed: int, folder: Path) -> Counter[str]:
    """Load ``count`` inputs; the outcomes by kind.

    Raises:
        AssertionError: with the input, if one comes to anything but settings or readable problems.
    """
    outcomes: Counter[str] = Counter()
    rng = random.Random(seed)
    file = folder / "10-fuzzed.toml"
    for number in range(count):
        data = mangle(rng)
        file.write_bytes(data)
        try:
            loaded = load([folder])
            why = complaint(loaded)
        except Exception as error:
            raise AssertionError(f"input {number} of seed {seed} raised: {data!r}") from error
        assert why is None, f"input {number} of seed {seed}: {why}: {data!r}"
        outcomes["settings" if loaded.settings else "problems"] += 1
    return outcomes


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as told by the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=DEFAULT_COUNT)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32)
    chosen = parser.parse_args(arguments)
    print(f"seed {chosen.seed}, {chosen.count} inputs")
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        outcomes = fuzz(chosen.count, chosen.seed, Path(folder))
    print(f"{dict(outcomes)} in {time.process_time() - start:.0f} s of CPU")
    return 0


if __name__ == "__main__":
    sys.exit(main())
