"""The settings, which are also the one table of configuration keys.

Each class is a TOML table and each field a key: its default, what values it takes, and what it does. Everything else
about keys (parsing, errors, ``tidegate config show``, the reference) is derived from here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tidegate.calendar.exclusions import Exclusion
from tidegate.calendar.spec import MINUTES_A_WEEK, WindowSpec
from tidegate.config.health import Health
from tidegate.config.keys import in_table, key
from tidegate.config.kinds.names import AbsoluteFile, Names
from tidegate.config.kinds.scalar import Boolean, Choice, Choices, Fraction, MergeMode, Text, Url, Whole, ZoneName
from tidegate.config.kinds.schedule import Excludes, Windows
from tidegate.engines import registry

STRATEGIES = ("immediate", "fleet_lock", "periodic", "marker_file")
DISCOVERY_SOURCES = ("auto", "cincinnati", "static_graph", "native")
ENGINES = (registry.AUTO, *registry.NAMES)
CLOCK_REQUIREMENTS = ("auto", "always", "never")

# Sessions that are not of people; those that the agent does not know count as people.
PROGRAMS_CLASSES = ("greeter", "lock-screen", "background", "background-light", "manager", "manager-early")

# A poll less often than once in ten years is a typing error, and timers overflow not far beyond.
MAX_INTERVAL_SECS = 10 * 366 * 24 * 3600
MAX_DISCOVERY_TIMEOUT_SECS = 3600
# A server that drains a node before it answers needs minutes; one that hangs must not hold the host for longer.
MAX_LOCK_TIMEOUT_SECS = 600

# People are given minutes or hours; a grace of more than a week is a host that is not to reboot.
MAX_GRACE_SECS = 7 * 24 * 3600

_GROUP = re.compile(r"[a-zA-Z0-9.-]+")
_STREAM = re.compile(r"[a-zA-Z0-9._/-]+")
_VERSION = re.compile(r"\S{1,256}")
_USER = re.compile(r"[^\s:,/]{1,256}")
_SESSION_CLASS = re.compile(r"[a-z]+(?:-[a-z]+)*")
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
        "The host's id for those servers and for rollouts; derived from the machine id unless set.",
    )
    rollout_wariness: float | None = key(
        None,
        Fraction(),
        "How late in a rollout the host takes a release: 0.0 first, 1.0 last. Unless set, a Cincinnati server decides; "
        "with a static graph, the host's id does, for each release anew.",
    )
    stream: str | None = key(
        None,
        Text(_STREAM, "letters, digits, and any of . _ / -"),
        "The stream of releases that the host follows: the last part of the ref that the running release came from, "
        "unless set.",
    )


@dataclass(frozen=True, slots=True)
class Cincinnati:
    """``[cincinnati]``."""

    base_url: str = key(
        "",
        Url(("http", "https")),
        "The Cincinnati server; `v1/graph` below it is asked. ${basearch}, ${group}, ${platform} and ${stream} are "
        "replaced by the host's own.",
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
    pin: str | None = key(
        None, Text(_VERSION, "a version, without spaces"), "The one version that this host may go to; unless set, any."
    )
    max_version: str | None = key(
        None,
        Text(_VERSION, "a version, without spaces"),
        "The newest version that this host may go to, in the order of `systemd-analyze compare-versions`.",
    )
    min_release_age_secs: int = key(
        0,
        Whole(0, MAX_INTERVAL_SECS),
        "Seconds for which a release must have been on offer to this host before it is taken.",
    )


@dataclass(frozen=True, slots=True)
class FleetLock:
    """``[updates.fleet_lock]``."""

    base_url: str = key(
        "",
        Url(("http", "https")),
        "The FleetLock server, needed by the strategy `fleet_lock`. Takes the variables of `cincinnati.base_url`.",
    )
    timeout_secs: int = key(
        30, Whole(1, MAX_LOCK_TIMEOUT_SECS), "Seconds after which a request to the server is given up."
    )
    ca_file: str | None = key(
        None, AbsoluteFile(), "Certificates, in PEM form, of the authorities to trust in place of the system's."
    )
    client_cert_file: str | None = key(
        None, AbsoluteFile(), "The host's own certificate for the server, in PEM form. Needs `client_key_file`."
    )
    client_key_file: str | None = key(
        None, AbsoluteFile(), "The key of `client_cert_file`, in PEM form and without a passphrase."
    )
    token_file: str | None = key(
        None,
        AbsoluteFile(),
        "A file with a token on one line, sent as `Authorization: Bearer`. Read anew at each request.",
    )
    release: str = key(
        "after-health",
        Choice(("after-health", "after-boot")),
        "When the slot is given back: once the new release has proved healthy, or as soon as it has booted.",
    )
    update_params: bool = key(
        False,  # noqa: FBT003 - a default
        Boolean(),
        "Whether to tell the server the boot id and the releases (extension rollout-v1); others pass over that.",
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
class MarkerFile:
    """``[updates.marker_file]``."""

    path: str = key(
        "/var/lib/tidegate/allow-reboot.json",
        AbsoluteFile(),
        "The file that allows a reboot under the strategy `marker_file`: JSON, `{}` or with `not_after` (RFC 3339, or "
        "seconds since 1970). It and the folders on its way must belong to root and be writable by nobody else.",
    )


@dataclass(frozen=True, slots=True)
class Sessions:
    """``[gates.sessions]``."""

    enabled: bool = key(
        True,  # noqa: FBT003 - a default
        Boolean(),
        "Whether people who are logged in are told of a reboot and given time.",
    )
    grace_secs: int = key(
        600, Whole(0, MAX_GRACE_SECS), "Seconds that they have between being told and the reboot; 0 only tells them."
    )
    ignore_users: tuple[str, ...] = key(
        (), Names(_USER, "names or numbers of users"), "Users whose sessions hold no reboot."
    )
    ignore_classes: tuple[str, ...] = key(
        PROGRAMS_CLASSES,
        Names(_SESSION_CLASS, "classes of sessions, as `loginctl show-session` has them"),
        "Classes of sessions that hold no reboot: those of programs, unless set.",
    )
    ignore_idle_secs: int = key(
        0,
        Whole(0, MAX_INTERVAL_SECS),
        "Seconds without any input after which a session holds no reboot any more; 0 is never.",
    )


@dataclass(frozen=True, slots=True)
class ClockTrust:
    """``[gates.clock]``."""

    require: str = key(
        "auto",
        Choice(CLOCK_REQUIREMENTS),
        "Whether the clock must be synchronised for a reboot; `auto` where windows or an expiry go by it.",
    )


@dataclass(frozen=True, slots=True)
class Interval:
    """``[gates.interval]``."""

    min_secs: int = key(
        0, Whole(0, MAX_INTERVAL_SECS), "Seconds that must pass between the last boot and a reboot for an update."
    )


@dataclass(frozen=True, slots=True)
class StaticGraph:
    """``[discovery.static_graph]``."""

    url: str = key(
        "",
        Url(("http", "https", "file")),
        "A Cincinnati graph in a file, whose rollouts the host applies by itself. Takes the variables of "
        "`cincinnati.base_url`.",
    )
    trust: str | None = key(
        None,
        AbsoluteFile(),
        "The root of trust (`root.json` of `tidegate trust init`): the graph counts only as signed under it. Needs "
        "`tidegate[trust]`.",
    )


@dataclass(frozen=True, slots=True)
class Discovery:
    """``[discovery]``."""

    source: str = key(
        "auto",
        Choice(DISCOVERY_SOURCES),
        "Where new releases come from; `auto` takes the static graph where `trust` is set for it, else the Cincinnati "
        "server where one is set, else the static graph, else what the engine follows by itself.",
    )
    timeout_secs: int = key(
        60, Whole(1, MAX_DISCOVERY_TIMEOUT_SECS), "Seconds after which a look for a new release is given up."
    )
    ca_file: str | None = key(
        None,
        AbsoluteFile(),
        "Certificates, in PEM form, of the authorities to trust in place of the system's when asking over https.",
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
    marker_file: MarkerFile = field(default_factory=MarkerFile, metadata=in_table("updates.marker_file"))
    sessions: Sessions = field(default_factory=Sessions, metadata=in_table("gates.sessions"))
    clock: ClockTrust = field(default_factory=ClockTrust, metadata=in_table("gates.clock"))
    interval: Interval = field(default_factory=Interval, metadata=in_table("gates.interval"))
    health: Health = field(default_factory=Health, metadata=in_table("health"))
    discovery: Discovery = field(default_factory=Discovery, metadata=in_table("discovery"))
    engine: Engine = field(default_factory=Engine, metadata=in_table("engine"))
