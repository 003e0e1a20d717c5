"""Area ``clock``: whether the clock is trustworthy enough for time-based gates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tidegate.bus.bus import Bus
from tidegate.clock import BUILT_AFTER, Clock, Now, SystemClock, rfc3339
from tidegate.doctor.base import Area, Finding, Host
from tidegate.errors import TidegateError
from tidegate.gates import marker_file
from tidegate.gates.clock import ClockSettings
from tidegate.services.timedate import TIMEDATE

AREA = Area("clock")
_UNIT = "systemd-timedated.service"


@dataclass(frozen=True, slots=True)
class Facts:
    """The properties of timedated; None if it does not answer, with the reason in ``error``."""

    now: Now
    synchronized: bool | None
    service: bool | None
    service_known: bool | None
    error: str = ""


async def examine(host: Host, clock: Clock | None = None) -> Sequence[Finding]:
    """Query timedated, as the gate ``clock`` does."""
    return [*judge(await _read((clock or SystemClock()).now()), needed=_is_needed(host))]


async def _read(now: Now) -> Facts:
    bus = await Bus.connect()
    try:
        synchronized, service, known = [
            bool(await bus.get_property(TIMEDATE, name, "b")) for name in ("NTPSynchronized", "NTP", "CanNTP")
        ]
    except TidegateError as err:
        return Facts(now, None, None, None, err.message)
    finally:
        await bus.close()
    return Facts(now, synchronized, service, known)


def _is_needed(host: Host) -> bool:
    """Whether the gate ``clock`` can delay a reboot: always, or with a strategy that depends on the time."""
    require = host.settings.of(ClockSettings).require
    depends = any(spec.by_clock or spec is marker_file.SPEC for spec in host.settings.strategies)
    return require == "always" or (require == "auto" and depends)


def judge(facts: Facts, *, needed: bool) -> Iterator[Finding]:
    """Evaluate the clock; ``needed``: reboots wait until it is synchronised."""
    wall = facts.now.wall
    if wall < BUILT_AFTER:
        text = f"the clock is wrong: it shows {rfc3339(wall)}, but this version was built after {rfc3339(BUILT_AFTER)}"
        yield AREA.problem("time", text, "timedatectl set-ntp true; or timedatectl set-time 'YYYY-MM-DD hh:mm'")
    else:
        yield AREA.ok("time", f"the clock shows {rfc3339(wall)}")
    yield _synchronized(facts, needed=needed)


def _synchronized(facts: Facts, *, needed: bool) -> Finding:
    evidence = f"timedated: NTPSynchronized={facts.synchronized}, NTP={facts.service}, CanNTP={facts.service_known}"
    effect = "; reboots wait for that (gates.clock)" if needed else "; no gate depends on it at present"
    if facts.synchronized is None:
        finding = AREA.problem if needed else AREA.unknown
        remedy = f"systemctl unmask {_UNIT}; systemctl start {_UNIT}"
        return finding(
            "synchronized", f"timedated does not report whether the clock is synchronised{effect}", remedy, facts.error
        )
    if facts.synchronized:
        return AREA.ok("synchronized", "the clock is synchronised", evidence)
    finding = AREA.problem if needed else AREA.warning
    why = "" if facts.service else ", and no time service is enabled"
    return finding("synchronized", f"the clock is not synchronised{why}{effect}", _remedy(facts), evidence)


def _remedy(facts: Facts) -> str:
    if not facts.service_known:
        return "install a time service: systemd-timesyncd or chrony"
    return "see timedatectl timesync-status, chronyc tracking" if facts.service else "timedatectl set-ntp true"
