"""Every unit that a message or a page names is one that is shipped."""

from __future__ import annotations

import re
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]
NAMED = re.compile(r"\btidegate[a-z-]*\.(?:service|socket|timer|path)\b|(?<=-u )tidegate[a-z-]*")


def test_every_unit_that_is_named_exists() -> None:
    shipped = {file.name for file in (CHECKOUT / "systemd").iterdir()}
    known = shipped | {name.rpartition(".")[0] for name in shipped}
    texts = [*CHECKOUT.glob("agent/tidegate/**/*.py"), *CHECKOUT.glob("contrib/man/*.md"), *CHECKOUT.glob("systemd/*")]
    named = {(file.name, name) for file in texts for name in NAMED.findall(file.read_text(encoding="utf-8"))}
    assert named, "the pattern finds none"
    assert {(file, name) for file, name in named if name not in known} == set()
