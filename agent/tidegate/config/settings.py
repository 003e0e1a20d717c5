"""The settings, which are also the one table of configuration keys.

Each class is a TOML table and each field a key: its default, what values it takes, and what it does. Everything else
about keys (parsing, errors, ``tidegate config show``, the reference) is derived from here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tidegate.calendar.exclusions import Exclusion
from tidegate.calendar.spec import MINUTES_A_WEEK, WindowSpec
from tidegate.config.keys import in_table, key
from tidegate.config.kinds import Boolean, Choice, Choices, Fraction, MergeMode, Text, Url, Whole, ZoneName
from tidegate.config.schedule_kinds import Excludes, Windows

STRATEGIES = ("immediate", "fleet_lock", "periodic", "marker_file")
DISCOVERY_SOURCES = ("auto", "cincinnati", "static_graph", "native")
ENGINES = ("auto", "ostree")

# A poll less often than once in ten years is a typing error, and timers overflow not far beyond.
MAX_INTERVAL_SECS = 10 * 366 * 24 * 3600
MAX_DISCOVERY_TIMEOUT_SECS = 3600

_GROUP = re.compile(r"[a-zA-Z0-9.-]+")
_STREAM = re.compile(r"[a-zA-Z0-9._/-]+")
_UUID = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True)
class Timing:
    """``[agent.timing]``."""

    steady_interval_secs: int = key(300, Whole(1, MAX_INTERVAL_SECS), "Seconds between two looks for a new release.")


@dataclass(frozen=True, slots=True)
class Identity:
    """``[identity]``."""

    group: str = key(
        "default",
        Text(_GROUP, "letters, digits, dots and dashes"),
        "The group of hosts that this one belongs to, for the sources of updates and the lock server.",
    )
    node_uuid: str | None = key(
        None,
        Text(_UUID, "32 hexadecimal digits, with or without dashes"),
        "The host's id for those servers; derived from the machine id unless set.",
    )
    rollout_wariness: float | None = key(
        None,
        Fraction(),
        "How late in a rollout the host takes a release: 0.0 first, 1.0 last; the server decides unless set.",
    )
    stream: str | None = key(
        None,
        Text(_STREAM, "letters, digits, and any of . _ / -"),
        "The stream of releases that the host follows; the running release's own unless set.",
    )


@dataclass(frozen=True, slots=True)
class Cincinnati:
    """``[cincinnati]``."""

    base_url: str = key(
        "",
        Url(("http", "https")),
        "The Cincinnati server. ${basearch}, ${group}, ${platform} and ${stream} are replaced by the host's own.",
    )


@dataclass(frozen=True, slots=True)
class Updates:
    """``[updates]``."""

    enabled: bool = key(True, Boolean(), "Whether to look for, stage and finalize new releases.")  # noqa: FBT003 - a default
    allow_downgrade: bool = key(
        False,  # noqa: FBT003 - a default
        Boolean(),
        "Whether an older release than the running one may be taken.",
    )
    strategy: tuple[str, ...] = key(
        ("immediate",),
        Choices(STRATEGIES),
        "When the host may reboot into a staged release. Of several strategies, all must allow it.",
    )


@dataclass(frozen=True, slots=True)
class FleetLock:
    """``[updates.fleet_lock]``."""

    base_url: str = key(
        "",
        Url(("http", "https")),
        "The FleetLock server, needed by the strategy `fleet_lock`. Takes the variables of `cincinnati.base_url`.",
    )


@dataclass(frozen=True, slots=True)
class Periodic:
    """``[updates.periodic]``, needed by the strategy ``periodic``."""

    time_zone: str = key("UTC", ZoneName(), "The zone whose wall clock the windows follow.")
    windows: tuple[WindowSpec, ...] = key(
        (),
        Windows(),
        'When the host may reboot, week by week: `days` (names, in full or three letters), `start_time` ("hh:mm") '
        "and `length_minutes` (1 to 10080). The windows of all snippets add up.",
        name="window",
    )
    window_merge: str = key(
        "append",
        MergeMode(("append", "replace")),
        "What a snippet's windows do to those of the snippets before it: `replace` drops them.",
    )
    exclude: tuple[Exclusion, ...] = key(
        (),
        Excludes(),
        'Dates without windows: "2026-12-24", "2026-12-24..2027-01-02" (both included), or a recurrence rule of '
        "RFC 5545 (FREQ daily at most, no COUNT). Windows that start on such a date do not open, and no other "
        "reaches into it. The entries of all snippets add up.",
    )
    spread_minutes: int = key(
        0,
        Whole(0, MINUTES_A_WEEK),
        "Each host opens at its own stable moment within so many minutes after a window's start (never past its end).",
    )


@dataclass(frozen=True, slots=True)
class StaticGraph:
    """``[discovery.static_graph]``."""

    url: str = key(
        "",
        Url(("http", "https", "file")),
        "A Cincinnati graph in a file. Takes the variables of `cincinnati.base_url`.",
    )


@dataclass(frozen=True, slots=True)
class Discovery:
    """``[discovery]``."""

    source: str = key(
        "auto",
        Choice(DISCOVERY_SOURCES),
        "Where new releases come from; `auto` takes the one that is configured, else the engine's own.",
    )
    timeout_secs: int = key(
        60, Whole(1, MAX_DISCOVERY_TIMEOUT_SECS), "Seconds after which a look for a new release is given up."
    )
    static_graph: StaticGraph = field(default_factory=StaticGraph, metadata=in_table("discovery.static_graph"))


@dataclass(frozen=True, slots=True)
class Engine:
    """``[engine]``."""

    kind: str = key(
        "auto", Choice(ENGINES), "What stages and switches releases; `auto` takes the one that fits the host."
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that an operator can set, with the documented defaults."""

    timing: Timing = field(default_factory=Timing, metadata=in_table("agent.timing"))
    identity: Identity = field(default_factory=Identity, metadata=in_table("identity"))
    cincinnati: Cincinnati = field(default_factory=Cincinnati, metadata=in_table("cincinnati"))
    updates: Updates = field(default_factory=Updates, metadata=in_table("updates"))
    fleet_lock: FleetLock = field(default_factory=FleetLock, metadata=in_table("updates.fleet_lock"))
    periodic: Periodic = field(default_factory=Periodic, metadata=in_table("updates.periodic"))
    discovery: Discovery = field(default_factory=Discovery, metadata=in_table("discovery"))
    engine: Engine = field(default_factory=Engine, metadata=in_table("engine"))
