"""The agent's settings, and the declaration of its configuration keys.

Each class is a TOML table and each field a key, with its default, its kind of values and its documentation. Everything
else about keys (parsing, errors, ``tidegate config show``, the reference) is derived from these.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tidegate.calendar.exclusions import Exclusion
from tidegate.calendar.spec import MINUTES_A_WEEK, WindowSpec
from tidegate.config.health import Health
from tidegate.config.keys import in_table, key
from tidegate.config.kinds.names import AbsoluteFile, Names
from tidegate.config.kinds.scalar import Boolean, Choice, Choices, Fraction, Integer, MergeMode, Text, Url, ZoneName
from tidegate.config.kinds.schedule import Excludes, Windows
from tidegate.engines import registry

STRATEGIES = ("immediate", "fleet_lock", "periodic", "marker_file")
DISCOVERY_SOURCES = ("auto", "cincinnati", "static_graph", "native")
ENGINES = (registry.AUTO, *registry.NAMES)
CLOCK_REQUIREMENTS = ("auto", "always", "never")

# logind's classes of sessions that are not a user's. Any class that is not listed here counts as a user's.
PROGRAMS_CLASSES = ("greeter", "lock-screen", "background", "background-light", "manager", "manager-early")

# Ten years: a longer interval is a typing error, and timers overflow not far beyond.
MAX_INTERVAL_SECS = 10 * 366 * 24 * 3600
MAX_DISCOVERY_TIMEOUT_SECS = 3600
# A server that drains a node before it answers needs minutes; one that hangs must not delay the host for longer.
MAX_LOCK_TIMEOUT_SECS = 600

# Users are given minutes or hours; more than a week amounts to a host that never reboots.
MAX_GRACE_SECS = 7 * 24 * 3600

_GROUP = re.compile(r"[a-zA-Z0-9.-]+")
_STREAM = re.compile(r"[a-zA-Z0-9._/-]+")
_VERSION = re.compile(r"\S{1,256}")
_USER = re.compile(r"[^\s:,/]{1,256}")
_SESSION_CLASS = re.compile(r"[a-z]+(?:-[a-z]+)*")
_UUID = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True)
class Timing:
    """``[agent.timing]``: how often the agent checks for a new release."""

    steady_interval_secs: int = key(300, Integer(1, MAX_INTERVAL_SECS), "Seconds between two checks for a new release.")


@dataclass(frozen=True, slots=True)
class Identity:
    """``[identity]``: how update and lock servers know the host."""

    group: str = key(
        "default",
        Text(_GROUP, "letters, digits, dots and dashes"),
        "The group of hosts that this host belongs to, as update servers and the lock server know it.",
    )
    node_uuid: str | None = key(
        None,
        Text(_UUID, "32 hexadecimal digits, with or without dashes"),
        "The host's id for those servers and for rollouts. Unless set, it is derived from the machine id.",
    )
    rollout_wariness: float | None = key(
        None,
        Fraction(),
        "How late in a rollout the host takes a release: 0.0 first, 1.0 last. Unless set, a Cincinnati server decides; "
        "with a static graph, it is derived from the host's id and the release.",
    )
    stream: str | None = key(
        None,
        Text(_STREAM, "letters, digits, and any of . _ / -"),
        "The stream of releases that the host follows. Unless set, it is the last part of the ref from which the "
        "running release was deployed.",
    )


@dataclass(frozen=True, slots=True)
class Cincinnati:
    """``[cincinnati]``: the update server."""

    base_url: str = key(
        "",
        Url(("http", "https")),
        "The Cincinnati server; `v1/graph` is appended. ${basearch}, ${group}, ${platform} and ${stream} are replaced "
        "by the values of the host.",
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
        Choices(STRATEGIES),
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
class FleetLock:
    """``[updates.fleet_lock]``: the lock server of the strategy ``fleet_lock``."""

    base_url: str = key(
        "",
        Url(("http", "https")),
        "The FleetLock server, needed by the strategy `fleet_lock`. Takes the variables of `cincinnati.base_url`.",
    )
    timeout_secs: int = key(
        30, Integer(1, MAX_LOCK_TIMEOUT_SECS), "Seconds after which a request to the server times out."
    )
    ca_file: str | None = key(
        None, AbsoluteFile(), "Certificate authorities to trust in place of the system's, in PEM form."
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
        "A file with a token on one line, sent as `Authorization: Bearer`. It is read for each request.",
    )
    release: str = key(
        "after-health",
        Choice(("after-health", "after-boot")),
        "When the slot is released: once the new release has proved healthy, or as soon as the host has booted.",
    )
    update_params: bool = key(
        False,  # noqa: FBT003 - a default
        Boolean(),
        "Whether to send the boot id and the releases to the server (extension rollout-v1). Servers without the "
        "extension ignore them.",
    )


@dataclass(frozen=True, slots=True)
class Periodic:
    """``[updates.periodic]``: the windows of the strategy ``periodic``, which needs at least one."""

    time_zone: str = key("UTC", ZoneName(), "The time zone of the windows.")
    windows: tuple[WindowSpec, ...] = key(
        (),
        Windows(),
        'When the host may reboot, week by week: `days` (names, in full or three letters), `start_time` ("hh:mm") '
        "and `length_minutes` (1 to 10080). The windows of all snippets accumulate.",
        name="window",
    )
    window_merge: str = key(
        "append",
        MergeMode(("append", "replace")),
        "How the windows of a snippet are merged with those of earlier snippets: `replace` drops the latter.",
    )
    exclude: tuple[Exclusion, ...] = key(
        (),
        Excludes(),
        'Dates without windows: "2026-12-24", "2026-12-24..2027-01-02" (both included), or a recurrence rule of '
        "RFC 5545 (FREQ daily at most, no COUNT). No window starts on such a date, and earlier ones end at its "
        "midnight. The entries of all snippets accumulate.",
    )
    spread_minutes: int = key(
        0,
        Integer(0, MINUTES_A_WEEK),
        "Minutes after the start of a window over which the hosts of a fleet are spread. The moment of each host is "
        "stable, and always within the window.",
    )


@dataclass(frozen=True, slots=True)
class MarkerFile:
    """``[updates.marker_file]``: the file of the strategy ``marker_file``."""

    path: str = key(
        "/var/lib/tidegate/allow-reboot.json",
        AbsoluteFile(),
        "The file that allows a reboot under the strategy `marker_file`: JSON, `{}` or with `not_after` (RFC 3339, or "
        "seconds since 1970). The file and the folders of its path must belong to root and be writable by root only.",
    )


@dataclass(frozen=True, slots=True)
class Sessions:
    """``[gates.sessions]``: notice and grace period for users who are logged in."""

    enabled: bool = key(
        True,  # noqa: FBT003 - a default
        Boolean(),
        "Whether users who are logged in are notified of a reboot and given time.",
    )
    grace_secs: int = key(
        600,
        Integer(0, MAX_GRACE_SECS),
        "The grace period: seconds between the notice and the reboot. With 0, users are only notified.",
    )
    ignore_users: tuple[str, ...] = key(
        (), Names(_USER, "names or numbers of users"), "Users whose sessions do not hold a reboot back."
    )
    ignore_classes: tuple[str, ...] = key(
        PROGRAMS_CLASSES,
        Names(_SESSION_CLASS, "classes of sessions, as `loginctl show-session` has them"),
        "Session classes that do not hold a reboot back. Unless set, those that are not of users.",
    )
    ignore_idle_secs: int = key(
        0,
        Integer(0, MAX_INTERVAL_SECS),
        "Seconds without input after which a session does not hold a reboot back any more; 0 is never.",
    )


@dataclass(frozen=True, slots=True)
class ClockTrust:
    """``[gates.clock]``: whether a reboot needs a synchronised clock."""

    require: str = key(
        "auto",
        Choice(CLOCK_REQUIREMENTS),
        "Whether the clock must be synchronised for a reboot; `auto`: only where windows or an expiry depend on it.",
    )


@dataclass(frozen=True, slots=True)
class Interval:
    """``[gates.interval]``: a minimum time between two reboots."""

    min_secs: int = key(
        0, Integer(0, MAX_INTERVAL_SECS), "Seconds that must pass between the last boot and a reboot for an update."
    )


@dataclass(frozen=True, slots=True)
class StaticGraph:
    """``[discovery.static_graph]``: an update graph in a file."""

    url: str = key(
        "",
        Url(("http", "https", "file")),
        "A Cincinnati graph in a file. The host applies its rollouts itself. Takes the variables of "
        "`cincinnati.base_url`.",
    )
    trust: str | None = key(
        None,
        AbsoluteFile(),
        "The root of trust (`root.json` of `tidegate trust init`). If set, the graph must be signed under it. Needs "
        "`tidegate[trust]`.",
    )


@dataclass(frozen=True, slots=True)
class Discovery:
    """``[discovery]``: the source of new releases."""

    source: str = key(
        "auto",
        Choice(DISCOVERY_SOURCES),
        "Where new releases come from. `auto` is the static graph if `trust` is set for it, else the Cincinnati server "
        "if one is set, else the static graph if one is set, else the engine's own source.",
    )
    timeout_secs: int = key(
        60, Integer(1, MAX_DISCOVERY_TIMEOUT_SECS), "Seconds after which a check for a new release times out."
    )
    ca_file: str | None = key(
        None,
        AbsoluteFile(),
        "Certificate authorities to trust in place of the system's for https, in PEM form.",
    )
    static_graph: StaticGraph = field(default_factory=StaticGraph, metadata=in_table("discovery.static_graph"))


@dataclass(frozen=True, slots=True)
class Engine:
    """``[engine]``: the engine of the host."""

    kind: str = key(
        "auto", Choice(ENGINES), "The engine that stages and switches releases; `auto` detects the one of the host."
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of the agent, with their defaults."""

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
