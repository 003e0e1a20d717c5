"""Write the generated parts of tidegate-config(5): the table of gates, and the reference of keys.

python contrib/reference.py     with an environment in which tidegate is installed
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tidegate.config.reference import reference
from tidegate.gates import registry
from tidegate.gates.base import GateSpec
from tidegate.release import Purpose
from tidegate.settings import Settings

PAGE = Path(__file__).parent / "man/tidegate-config.5.md"

_HEAD = (
    "| gate | does not allow a reboot while | asked for | override | yields |",
    "|---|---|---|---|---|",
)


def gates() -> str:
    """The table of all gates, in Markdown."""
    return "\n".join((*_HEAD, *(_row(spec) for spec in registry.all_specs())))


def _row(spec: GateSpec) -> str:
    purposes = ", ".join(_purposes(spec))
    return f"| `{spec.name}` | {spec.summary} | {purposes} | {_yes(spec.overridable)} | {_yes(spec.etiquette)} |"


def _purposes(spec: GateSpec) -> Iterator[str]:
    return (purpose for purpose in Purpose if purpose in spec.guards)


def _yes(value: bool) -> str:  # noqa: FBT001 - the word for it
    return "yes" if value else "no"


def updated(page: str) -> str:
    """``page`` with its generated parts replaced.

    Raises:
        ValueError: the page lacks the heading KEYS or the table of gates.
    """
    start = page.index("\n| gate |") + 1
    page = page[:start] + gates() + page[page.index("\n\n", start) :]
    start = page.index("\n# KEYS\n\n") + len("\n# KEYS\n\n")
    return page[:start] + reference(Settings).rstrip("\n") + "\n" + page[page.index("\n# ", start) :]


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
