"""Every phase that the machine can be in."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import isabstract

from tidegate.machine import step  # noqa: F401  # pyright: ignore[reportUnusedImport]  # imports every phase
from tidegate.machine.phase import Phase


def _concrete(kind: type[Phase]) -> Iterator[type[Phase]]:
    if not isabstract(kind) and "__slots__" in vars(kind):  # dataclass() leaves its first, unslotted class behind
        yield kind
    for below in kind.__subclasses__():
        yield from _concrete(below)


PHASES: tuple[type[Phase], ...] = tuple(dict.fromkeys(_concrete(Phase)))  # type: ignore[type-abstract]  # its subclasses are what is wanted
