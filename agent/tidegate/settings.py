"""The agent's settings, assembled from the sections of their owners, and their configuration files.

A section is a dataclass: a TOML table whose fields are keys, each with its default, its kind of values and its
documentation. Parsing, errors, ``tidegate config show`` and the reference are derived from these. Gates,
health checks and engines bring their sections with their modules, which the registries find and which are not named
here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tidegate.config.conflicts import Conflict
from tidegate.config.keys import S, Section, assembled, having, in_table, key, section_of
from tidegate.config.kinds.scalar import MAX_INTERVAL_SECS, Boolean, Choices, Integer, Text
from tidegate.config.layers import OnlyRoots, WhyNot
from tidegate.config.loader import LoadedAs, Schema, load_as
from tidegate.discovery.settings import CincinnatiSettings, DiscoverySettings
from tidegate.discovery.settings import conflicts as discovery_conflicts
from tidegate.engines import registry as engines
from tidegate.engines.settings import EngineSettings
from tidegate.gates import registry
from tidegate.gates.base import GateSpec
from tidegate.health.settings import HealthSettings
from tidegate.health.settings import conflicts as health_conflicts
from tidegate.identity import Identity

DEFAULT_ROOTS = (
    Path("/usr/lib/tidegate/config.d"),
    Path("/etc/tidegate/config.d"),
    Path("/run/tidegate/config.d"),
)

_VERSION = re.compile(r"\S{1,256}")

_Gates = assembled("Gates", {spec.table: spec.section for spec in registry.specs() if spec.table and spec.section})
_Engines = assembled("Engines", {entry.table: entry.section for entry in engines.ENTRIES if entry.section})


@dataclass(frozen=True, slots=True)
class Timing:
    """``[agent.timing]``: how often the agent checks for a new release."""

    steady_interval_secs: int = key(
        300, Integer(1, MAX_INTERVAL_SECS), "Seconds between two checks for a new release, and up to a tenth more."
    )
    start_delay_secs: int = key(
        60,
        Integer(0, MAX_INTERVAL_SECS),
        "Seconds within which the first check after a start or a resume comes, at a random moment and at most one "
        "interval later, so that hosts that power up together do not ask together.",
    )


@dataclass(frozen=True, slots=True)
class Updates:
    """``[updates]``: whether, when and to which release the host updates."""

    enabled: bool = key(True, Boolean(), "Whether to check for, stage and finalize new releases.")  # noqa: FBT003 - a default
    allow_downgrade: bool = key(
        False,  # noqa: FBT003 - a default
        Boolean(),
        "Whether the host may move to an older release than the running one.",
    )
    strategy: tuple[str, ...] = key(
        ("immediate",),
        Choices(registry.strategies()),
        "When the host may reboot into a staged release. If several strategies are given, all of them must allow it.",
    )
    pin: str | None = key(
        None,
        Text(_VERSION, "a version, without spaces"),
        "The only version that this host may move to. Unless set, any.",
    )
    max_version: str | None = key(
        None,
        Text(_VERSION, "a version, without spaces"),
        "The newest version that this host may move to, in the order of `systemd-analyze compare-versions`.",
    )
    min_release_age_secs: int = key(
        0,
        Integer(0, MAX_INTERVAL_SECS),
        "Seconds for which a release must have been offered to this host before it is staged.",
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of the agent, with their defaults.

    ``gates`` and ``engines`` have the sections of the gates and of the single engines: see :meth:`of`.
    """

    timing: Timing = field(default_factory=Timing, metadata=in_table("agent.timing"))
    identity: Identity = field(default_factory=Identity, metadata=in_table("identity"))
    cincinnati: CincinnatiSettings = field(default_factory=CincinnatiSettings, metadata=in_table("cincinnati"))
    updates: Updates = field(default_factory=Updates, metadata=in_table("updates"))
    gates: Section = field(default_factory=_Gates, metadata=in_table(""))
    health: HealthSettings = field(default_factory=HealthSettings, metadata=in_table("health"))
    discovery: DiscoverySettings = field(default_factory=DiscoverySettings, metadata=in_table("discovery"))
    engine: EngineSettings = field(default_factory=EngineSettings, metadata=in_table("engine"))
    engines: Section = field(default_factory=_Engines, metadata=in_table(""))

    def of(self, section: type[S]) -> S:
        """The settings of a gate or an engine, by the class of its section.

        Raises:
            KeyError: none of them has that section.
        """
        return section_of(section, self.gates, self.engines)

    def having(self, *sections: Section) -> Settings:
        """A copy with other settings of gates and engines, each in the place of the section of its class."""
        return replace(self, gates=having(self.gates, *sections), engines=having(self.engines, *sections))

    @property
    def strategies(self) -> tuple[GateSpec, ...]:
        """The specifications of the selected strategies."""
        return tuple(spec for spec in registry.specs() if spec.strategy and spec.name in self.updates.strategy)


def conflicts(settings: Settings) -> Iterator[Conflict]:
    """Every conflict between keys that are valid one by one."""
    for spec in registry.specs():
        in_use = not spec.strategy or spec in settings.strategies
        if in_use and spec.section is not None and spec.conflicts is not None:
            yield from spec.conflicts(settings.of(spec.section))
    yield from discovery_conflicts(settings.cincinnati, settings.discovery)
    yield from health_conflicts(settings.health)


SCHEMA = Schema(Settings, conflicts)

Loaded = LoadedAs[Settings]
"""The result of loading the agent's configuration."""


def load(roots: Sequence[Path], paths: Sequence[Path] = (), why_not: WhyNot | None = None) -> Loaded:
    """Load the agent's configuration from ``roots``, and on top ``paths``; see :func:`.load_as`.

    Unless ``why_not`` says otherwise, the snippets of the system's folders have to be root's alone.
    """
    return load_as(SCHEMA, roots, paths, why_not or _why_not_in_force())


def _why_not_in_force() -> WhyNot:
    only_roots = OnlyRoots()
    return lambda path, status: only_roots.why_not(path, status) if path.parent in DEFAULT_ROOTS else None
