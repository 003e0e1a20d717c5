"""The agent put together: settings -> clock, bus, engine, discovery, gates -> loop.

Nothing is decided here; this is where every part meets the others, and the place to start reading.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from tidegate import __version__
from tidegate.agent_api.properties import AgentProperties
from tidegate.agent_api.service import serve_agent
from tidegate.bus.bus import Bus
from tidegate.clock import Clock, Now, monotonic_usec
from tidegate.configured import ConfigurationReader, Configured, Dependencies
from tidegate.engines.remote import RemoteEngine
from tidegate.errors import ErrorKind, Failure, TidegateError
from tidegate.fleetlock.client import NetLock, ThisBoot
from tidegate.gates import fleet_lock, terminals
from tidegate.gates.base import Notice
from tidegate.gates.interval import boot_began_secs
from tidegate.gates.select import GateSources
from tidegate.health.select import checks_for
from tidegate.journal.log import JournalLog
from tidegate.loop import Keeper, Loop
from tidegate.machine.effects import Announce
from tidegate.machine.events import Event, PolicyChanged, ShutdownSignal
from tidegate.machine.phases.rebooting import Rebooting
from tidegate.machine.state import Policy, State
from tidegate.net.client import NetClient
from tidegate.records.model import Records
from tidegate.records.store import FileStore, SealedStore, Store
from tidegate.report.explain import Explainer
from tidegate.report.motd import MotdWriter
from tidegate.report.snapshot import PUBLIC_FOLDER, Publisher
from tidegate.report.summary import public_state, summary
from tidegate.runner import Host, Runner
from tidegate.services.logind import Logind
from tidegate.services.power import LogindPower
from tidegate.services.shutdown import ShutdownWatch
from tidegate.services.systemd import Systemd
from tidegate.services.timedate import Timedate
from tidegate.settings import DEFAULT_ROOTS
from tidegate.system.alarm import Alarm
from tidegate.system.boot import BootInstance, read_boot
from tidegate.system.last_boot import read_last_boot
from tidegate.system.sd_notify import Notifier
from tidegate.workload.none import NoWorkload

STATE_FOLDER = Path("/var/lib/tidegate")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Paths:
    """Where the agent reads and writes."""

    config_roots: Sequence[Path] = DEFAULT_ROOTS
    state: Path = STATE_FOLDER
    public: Path = PUBLIC_FOLDER


async def run_agent(paths: Paths, clock: Clock, alarm: Alarm, journal_log: JournalLog) -> None:
    """Run until SIGTERM or SIGINT.

    Raises:
        TidegateError: the bus cannot be reached, is lost, or the agent's name on it is taken. systemd starts the agent
            anew then, and it goes on from its records.
    """
    bus = await Bus.connect()
    try:
        await _run(paths, clock, alarm, bus, journal_log)
    finally:
        await bus.close()


async def _run(paths: Paths, clock: Clock, alarm: Alarm, bus: Bus, journal_log: JournalLog) -> None:
    systemd, logind, engine, notifier = Systemd(bus), Logind(bus), RemoteEngine(bus), Notifier()
    boot = read_boot(await systemd.soft_reboots_count())
    net = NetClient()
    sources = GateSources(logind, Timedate(bus), boot_began_secs())
    prober_for = partial(checks_for, systemd=systemd, net=net, bus=bus, clock=clock)
    reader = ConfigurationReader(paths.config_roots, Dependencies(clock, sources, engine.latest, prober_for))
    store, records, unreadable = _open_records(FileStore(paths.state))

    def configured() -> Configured:
        now = reader.read()
        return now if unreadable is None else now.blocked_by(unreadable)

    start = configured()
    locks = NetLock(net, _this_boot(boot, clock))
    host = Host(engine, LogindPower(logind), systemd, locks, _Announcer(), NoWorkload(), read_last_boot())
    runner = Runner(clock, host, start.world)
    keeper = Keeper(clock, store, boot, start.policy, records)
    publisher, properties = Publisher(paths.public, __version__), AgentProperties(bus, __version__)
    publisher.host, publisher.follows = asdict(start.identity), start.follows.document
    observer = _Observer(publisher, MotdWriter(paths.public), notifier, properties)
    loop = Loop(clock, alarm, keeper, runner, observer, _Announcements(journal_log, properties))
    await ShutdownWatch(bus, logind, lambda active: loop.post(ShutdownSignal(active))).start()

    def reload() -> Policy:
        notifier.reloading(monotonic_usec())
        try:
            again = configured()
            runner.world = again.world
            publisher.host, publisher.follows = asdict(again.identity), again.follows.document
            loop.post(PolicyChanged(again.policy))
        finally:
            notifier.ready()
        return again.policy

    publisher.describe(keeper.state, clock.now())
    properties.show(publisher.document)  # clients that find the agent on the bus find something there
    await serve_agent(bus, _Served(loop, runner, clock, reload), properties)
    observer(keeper.state, clock.now())  # files only from here on: an agent whose name is taken must not write any
    try:
        await _supervise(loop, bus, notifier, reload)
    finally:
        properties.flush()


def _this_boot(boot: BootInstance, clock: Clock) -> ThisBoot | None:
    """The boot, for servers that tell hosts apart by it; None where it is not known since when it runs."""
    began_secs = boot_began_secs()
    return None if began_secs is None else ThisBoot(boot.boot_id, began_secs, clock)


async def _supervise(loop: Loop, bus: Bus, notifier: Notifier, reload: Callable[[], Policy]) -> None:
    """Run the loop until a signal says stop; the end of the bus or of the loop itself is an error."""
    stop = asyncio.Event()
    _on_signals(stop, reload)
    notifier.ready()
    parts: set[asyncio.Task[object]] = {
        asyncio.create_task(loop.run(), name="loop"),
        asyncio.create_task(_heartbeat(notifier), name="heartbeat"),
        asyncio.create_task(stop.wait(), name="stop"),
        asyncio.create_task(bus.closed.wait(), name="bus"),
    }
    done, running = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
    notifier.stopping()
    going_down = loop.state.shutting_down or isinstance(loop.state.phase, Rebooting)
    for part in running:
        part.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    for part in done:
        part.result()
    if not stop.is_set() and not going_down:  # a host that goes down takes the bus along, often before its services
        raise TidegateError(ErrorKind.BUS_UNREACHABLE, "the connection to the bus ended", "check that dbus is running")


def _on_signals(stop: asyncio.Event, reload: Callable[[], Policy]) -> None:
    running = asyncio.get_running_loop()
    running.add_signal_handler(signal.SIGTERM, stop.set)
    running.add_signal_handler(signal.SIGINT, stop.set)
    running.add_signal_handler(signal.SIGHUP, reload)


async def _heartbeat(notifier: Notifier) -> None:
    """Every decision is taken on this event loop, so a decision that hangs silences this as well."""
    while notifier.watchdog_secs is not None:
        notifier.alive()
        await asyncio.sleep(notifier.watchdog_secs)
    await asyncio.Event().wait()


def _open_records(store: FileStore) -> tuple[Store, Records, Failure | None]:
    """The records; where they cannot be read, empty ones that nothing is ever written over, and why."""
    try:
        return store, store.load(), None
    except TidegateError as err:
        _log.error("%s: nothing is staged or rebooted until this is fixed", err)
        return SealedStore(err.failure), Records(), err.failure


class _Served:
    """The agent as its D-Bus service sees it: requests go to the loop, explanations past it."""

    def __init__(self, loop: Loop, runner: Runner, clock: Clock, reload: Callable[[], Policy]) -> None:
        self._loop = loop
        self._runner = runner
        self._reload = reload
        self._explainer = Explainer(clock, lambda: runner.world.gates, lambda: loop.state)

    async def ask(self, request: Callable[[int], Event]) -> str:
        return await self._loop.ask(request)

    async def explain(self) -> dict[str, object]:
        return await self._explainer.explain()

    def reload(self) -> str:
        policy = self._reload()
        if policy.stale is not None:
            kept = f"{policy.stale.message}; the last good configuration stays in force"
            raise replace(policy.stale, message=kept).error()
        if policy.blocked is not None:
            raise policy.blocked.error()
        return "the configuration is reloaded"

    def overridable(self) -> Mapping[str, bool]:
        gates = {gate.name: gate.overridable for gate in self._runner.world.gates}
        return (
            gates
            if self._loop.state.policy.fleet_lock is None
            else {**gates, fleet_lock.SPEC.name: fleet_lock.SPEC.overridable}
        )


class _Announcer:
    """Writes notices to terminals. A terminal that cannot be written to does not delay a reboot."""

    async def tell(self, notice: Notice) -> None:
        for undelivered in terminals.deliver(notice):
            _log.info("the notice cannot be written to %s: %s", undelivered.terminal, undelivered.why)


class _Observer:
    """Publishes every state: the snapshot file, the same on the bus, notices, and a line for ``systemctl status``."""

    def __init__(
        self, publisher: Publisher, board: MotdWriter, notifier: Notifier, properties: AgentProperties
    ) -> None:
        self._publisher = publisher
        self._board = board
        self._notifier = notifier
        self._face = properties
        self._last = ""

    def __call__(self, state: State, now: Now) -> None:
        try:
            self._publisher.publish(state, now)
            self._board.post(self._publisher.document)
        except OSError as err:
            _log.warning("cannot write the snapshot or a notice: %s", err)
        self._face.show(self._publisher.document)
        line = summary(state)
        if line != self._last:
            self._last = line
            self._notifier.status(line)


class _Announcements:
    """Spreads what was decided: in the journal, and on the bus."""

    def __init__(self, journal_log: JournalLog, properties: AgentProperties) -> None:
        self._journal_log = journal_log
        self._face = properties

    def __call__(self, said: Announce, state: State) -> None:
        self._journal_log.write_decision(said, public_state(state))
        self._face.announce(said)
