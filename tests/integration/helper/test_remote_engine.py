"""The agent's engine over a real bus: the helper's service in front of a fake host."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from tests.fakes.asyncs import run, until
from tests.fakes.engine import FakeEngine, FakeHost, deployment, payload_of
from tests.fakes.private_bus import connected, private_bus, settle, two
from tests.fakes.served_engine import FOR_EVER, US, serving
from tidegate.bus.bus import Bus
from tidegate.bus.errors import ACCESS_DENIED, CallFailed
from tidegate.bus.message import Endpoint
from tidegate.engines import remote
from tidegate.engines.base import Engine, EngineTraits, Evidence, Progress, RebootOwner, StagedDeployment
from tidegate.engines.remote import RemoteEngine
from tidegate.engines.unsupported import UnsupportedEngine
from tidegate.engines.wire import ENGINE
from tidegate.errors import ErrorKind, Failure, TidegateError
from tidegate.helper.main import Terms, serve
from tidegate.release import Release
from tidegate.system.reboot import RebootKind
from tidegate.system.sd_notify import Notifier

UNKNOWN_PAYLOAD = "0" * 64
ROUNDS = 10
"""More round trips than a call takes: following the owner, subscribing, asking, identifying, watching the caller."""


@dataclass(frozen=True, slots=True)
class Bench:
    """A helper that serves ``engine``, and the agent's view of it."""

    helper_bus: Bus
    agent_bus: Bus
    engine: FakeEngine
    remote: RemoteEngine
    serving: asyncio.Task[None]

    @property
    def host(self) -> FakeHost:
        return self.engine.host


@asynccontextmanager
async def helper(address: str, engine: Engine, *, idle_secs: float = FOR_EVER) -> AsyncGenerator[asyncio.Task[None]]:
    """A helper on a connection of its own."""
    async with connected(address) as bus, serving(bus, engine, idle_secs=idle_secs) as task:
        yield task


@asynccontextmanager
async def bench(address: str, *, uids: frozenset[int] = US, idle_secs: float = FOR_EVER) -> AsyncGenerator[Bench]:
    engine = FakeEngine(FakeHost("1"))
    async with (
        two(address) as (helper_bus, agent_bus),
        serving(helper_bus, engine, uids=uids, idle_secs=idle_secs) as task,
    ):
        yield Bench(helper_bus, agent_bus, engine, RemoteEngine(agent_bus), task)


def check(address: str, scenario: Callable[[Bench], Awaitable[None]], *, uids: frozenset[int] = US) -> None:
    async def main() -> None:
        async with bench(address, uids=uids) as made:
            await scenario(made)

    run(main())


async def refused(doing: Awaitable[object]) -> TidegateError:
    with pytest.raises(TidegateError) as caught:
        await doing
    return caught.value


def ignore(_progress: Progress) -> None: ...


def test_a_release_goes_all_the_way(address: str) -> None:
    async def scenario(at: Bench) -> None:
        release = at.host.publish("2")
        await at.remote.stage(release, ignore)
        status = await at.remote.status()
        assert status == await at.engine.status()
        assert status.staged == StagedDeployment("2", release.payload, locked=True)
        await at.remote.arm(release.payload)
        assert (await at.remote.status()).next_boot == release.payload
        await at.remote.disarm(release.payload)
        await at.remote.discard(release.payload)
        assert (await at.remote.status()).staged is None
        await at.remote.prune_rollback()
        await at.remote.mark_good(payload_of("1"))
        assert at.host.marked_good == {payload_of("1")}

    check(address, scenario)


def test_metadata_reaches_the_engine_and_never_stops_a_staging(address: str) -> None:
    many = {f"key-{number}": "x" * 500 for number in range(2000)}

    async def scenario(at: Bench) -> None:
        at.host.publish("2")
        for metadata in ({"size": "12", "url": "https://host/2"}, {"size": "12"} | many):
            await at.remote.stage(Release("2", payload_of("2"), 7, metadata), ignore)
        few, bounded = at.engine.releases
        assert (few.age_index, few.metadata) == (7, {"size": "12", "url": "https://host/2"})
        assert bounded.metadata["size"] == "12"
        assert 1 < len(bounded.metadata) < len(many)

    check(address, scenario)


def test_a_rollback_leads_to_its_target_or_nowhere(address: str) -> None:
    async def scenario(at: Bench) -> None:
        at.host.stage_by_hand("2")
        at.host.reboot()
        assert (await refused(at.remote.rollback(payload_of("3")))).kind is ErrorKind.ENGINE_NO_ROLLBACK
        assert (await at.remote.status()).next_boot == payload_of("2")
        for _ in range(2):
            await at.remote.rollback(payload_of("1"))
            assert (await at.remote.status()).next_boot == payload_of("1")

    check(address, scenario)


def test_the_newest_release_is_told_without_a_change(address: str) -> None:
    async def scenario(at: Bench) -> None:
        at.host.publish("2")
        at.host.end_of_life = "the last one"
        assert await at.remote.latest() == await at.engine.latest()
        assert (await at.remote.latest()).newest == Release("2", payload_of("2"), 2)
        at.host.remote_down = True
        assert (await refused(at.remote.latest())).kind is ErrorKind.ENGINE_REMOTE_DOWN
        at.host.remote_down = False
        with at.engine.hold("stage") as hold:
            staging = asyncio.create_task(at.remote.stage(at.host.publish("3"), ignore))
            await hold.reached.wait()
            assert (await at.remote.latest()).newest.version == "3"
        await staging

    check(address, scenario)


def test_name_and_traits_cost_no_call(address: str) -> None:
    traits = EngineTraits(
        stages_locked=False,
        can_disarm=False,
        reboots=RebootOwner.ENGINE,
        evidence=Evidence.BOOTED_ONLY,
        reboot_kinds=frozenset(RebootKind),
        arm_timeout_secs=900.0,
        updates_offline=True,
    )

    async def main() -> None:
        engine = FakeEngine(FakeHost(), name="apt", traits=traits)
        async with connected(address) as bus:
            agent = RemoteEngine(bus)
            assert (agent.name, agent.traits) == ("unknown", EngineTraits())
            async with helper(address, engine):
                await agent.status()
            assert (agent.name, agent.traits) == ("apt", traits)

    run(main())


def test_progress_is_heard_while_staging_only(address: str) -> None:
    async def scenario(at: Bench) -> None:
        heard: list[Progress] = []
        release = at.host.publish("2")
        with at.engine.hold("stage") as hold:
            staging = asyncio.create_task(at.remote.stage(release, heard.append))
            await until(lambda: bool(heard))
            assert heard == [Progress("fetching", 0.25, 1_000_000)]
            hold.release()
            await staging
        before = len(heard)
        at.helper_bus.emit(
            Endpoint("", ENGINE.path, ENGINE.interface), "Progress", "ssdt", (release.payload, "late", 0.5, 1)
        )
        await settle(at.helper_bus, at.agent_bus)
        assert len(heard) == before

    check(address, scenario)


def test_an_impostor_is_not_heard(address: str) -> None:
    async def scenario(at: Bench) -> None:
        heard: list[Progress] = []
        release = at.host.publish("2")
        with at.engine.hold("stage") as hold:
            staging = asyncio.create_task(at.remote.stage(release, heard.append))
            await until(lambda: bool(heard))
            async with connected(address) as impostor:
                for destination in ("", at.agent_bus.unique_name):
                    source = Endpoint(destination, ENGINE.path, ENGINE.interface)
                    impostor.emit(source, "Progress", "ssdt", (release.payload, "lies", 0.9, 9))
                await settle(impostor, at.agent_bus)
            hold.release()
            await staging
        assert "lies" not in {progress.step for progress in heard}

    check(address, scenario)


def test_an_error_of_the_engine_is_the_same_here(address: str) -> None:
    async def scenario(at: Bench) -> None:
        at.engine.fail("stage", TidegateError(ErrorKind.ENGINE_NO_SPACE, "2 of 9 bytes", "make room"))
        error = await refused(at.remote.stage(at.host.publish("2"), ignore))
        assert error.failure == Failure(ErrorKind.ENGINE_NO_SPACE, "2 of 9 bytes", "make room")

    check(address, scenario)


def test_a_defect_of_the_engine_is_a_failure_without_details(address: str) -> None:
    async def scenario(at: Bench) -> None:
        at.engine.fail("arm", RuntimeError("secret"))
        error = await refused(at.remote.arm(UNKNOWN_PAYLOAD))
        assert error.kind is ErrorKind.ENGINE_FAILED
        assert "secret" not in str(error)
        assert "journalctl" in error.remedy

    check(address, scenario)


@pytest.mark.parametrize("payload", ["", "../../etc", "--force", "A" * 64, "a" * 65])
def test_a_bad_argument_never_reaches_the_engine(address: str, payload: str) -> None:
    async def scenario(at: Bench) -> None:
        release = at.host.publish("2")
        verbs = (at.remote.arm, at.remote.disarm, at.remote.discard, at.remote.rollback, at.remote.mark_good)
        for doing in (verb(payload) for verb in verbs):
            assert (await refused(doing)).kind is ErrorKind.ENGINE_BAD_ARGUMENT
        for version, one in (("2", payload), ("a\nb", release.payload)):
            staging = at.agent_bus.call(ENGINE, "Stage", "ss", version, one)
            assert (await refused(staging)).kind is ErrorKind.ENGINE_BAD_ARGUMENT
            assert (await refused(at.remote.stage(Release(version, one), ignore))).kind is ErrorKind.ENGINE_BAD_ARGUMENT
        assert at.engine.calls == []

    check(address, scenario)


def test_a_stranger_is_refused_everything(address: str) -> None:
    async def scenario(at: Bench) -> None:
        error = await refused(at.remote.status())
        assert error.kind is ErrorKind.ENGINE_UNREACHABLE
        assert "may not be called by this user" in error.message
        with pytest.raises(CallFailed) as caught:
            await at.agent_bus.get_property(ENGINE, "Busy", "s")
        assert caught.value.error_name == ACCESS_DENIED
        assert (await refused(at.remote.stage(at.host.publish("2"), ignore))).kind is ErrorKind.ENGINE_UNREACHABLE
        assert at.engine.calls == []

    check(address, scenario, uids=frozenset({os.getuid() + 1}))


def test_one_at_a_time_and_status_meanwhile(address: str) -> None:
    async def scenario(at: Bench) -> None:
        with at.engine.hold("stage") as hold:
            staging = asyncio.create_task(at.remote.stage(at.host.publish("2"), ignore))
            await hold.reached.wait()
            error = await refused(at.remote.arm(UNKNOWN_PAYLOAD))
            assert error.kind is ErrorKind.ENGINE_BUSY
            assert "stage 2 is under way" in error.message
            assert (await at.remote.status()).staged is None
            assert await at.agent_bus.get_property(ENGINE, "Busy", "s") == "stage 2"
            hold.release()
            await staging
        assert await at.agent_bus.get_property(ENGINE, "Busy", "s") == ""

    check(address, scenario)


def test_a_killed_agent_comes_back_to_the_same_download(address: str) -> None:
    async def scenario(at: Bench) -> None:
        release = at.host.publish("2")
        with at.engine.hold("stage") as hold:
            async with connected(address) as dying:
                staging = asyncio.create_task(RemoteEngine(dying).stage(release, ignore))
                await hold.reached.wait()
            assert (await refused(staging)).kind is ErrorKind.ENGINE_UNREACHABLE
            again = asyncio.create_task(at.remote.stage(release, ignore))
            for _round in range(ROUNDS):
                await settle(at.agent_bus, at.helper_bus)
            hold.release()
            await again
        assert at.host.transferred_bytes == at.host.remote[release.payload]
        assert [call.verb for call in at.engine.calls].count("stage") == 1

    check(address, scenario)


def test_what_a_killed_agent_has_left_gives_way(address: str) -> None:
    async def scenario(at: Bench) -> None:
        newer = at.host.publish("3")
        with at.engine.hold("stage") as hold:
            async with connected(address) as dying:
                staging = asyncio.create_task(RemoteEngine(dying).stage(at.host.publish("2"), ignore))
                await hold.reached.wait()
            await refused(staging)
            await settle(at.helper_bus)
            hold.release()
            await at.remote.stage(newer, ignore)
        assert (await at.remote.status()).staged == StagedDeployment("3", newer.payload, locked=True)

    check(address, scenario)


def test_a_staging_can_be_called_off(address: str) -> None:
    async def scenario(at: Bench) -> None:
        with at.engine.hold("stage") as hold:
            staging = asyncio.create_task(at.remote.stage(at.host.publish("2"), ignore))
            await hold.reached.wait()
            await at.remote.cancel_stage()
            assert (await refused(staging)).kind is ErrorKind.ENGINE_CANCELLED

    check(address, scenario)


def test_a_helper_that_dies_is_noticed_at_once(address: str) -> None:
    async def scenario(at: Bench) -> None:
        with at.engine.hold("stage") as hold:
            staging = asyncio.create_task(at.remote.stage(at.host.publish("2"), ignore))
            await hold.reached.wait()
            await at.helper_bus.close()
            assert (await refused(staging)).kind is ErrorKind.ENGINE_UNREACHABLE

    check(address, scenario)


def test_no_helper_is_said_with_a_remedy(address: str) -> None:
    async def main() -> None:
        async with connected(address) as bus:
            agent = RemoteEngine(bus)
            for doing in (agent.status(), agent.arm(UNKNOWN_PAYLOAD), agent.stage(FakeHost().publish("2"), ignore)):
                error = await refused(doing)
                assert error.kind is ErrorKind.ENGINE_UNREACHABLE
                assert "tidegate-engine.service" in error.remedy

    run(main())


def test_a_lost_bus_is_an_engine_error() -> None:
    async def main() -> None:
        with private_bus() as daemon:
            async with bench(daemon.address) as at:
                with at.engine.hold("stage") as hold:
                    staging = asyncio.create_task(at.remote.stage(at.host.publish("2"), ignore))
                    await hold.reached.wait()
                    daemon.kill()
                    assert (await refused(staging)).kind is ErrorKind.ENGINE_UNREACHABLE
                assert (await refused(at.remote.status())).kind is ErrorKind.ENGINE_UNREACHABLE
                assert (await refused(at.serving)).kind is ErrorKind.BUS_UNREACHABLE

    run(main())


def test_a_helper_that_hangs_is_given_up(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "STATUS_SECS", 0.05)

    async def scenario(at: Bench) -> None:
        with at.engine.hold("status"):
            error = await refused(at.remote.status())
            assert error.kind is ErrorKind.ENGINE_TIMEOUT

    check(address, scenario)


def test_an_arming_may_take_as_long_as_the_engine_says(address: str) -> None:
    async def main() -> None:
        engine = FakeEngine(FakeHost(), traits=EngineTraits(arm_timeout_secs=0.05))
        async with helper(address, engine), connected(address) as bus:
            agent = RemoteEngine(bus)
            await agent.status()
            with engine.hold("arm"):
                assert (await refused(agent.arm(UNKNOWN_PAYLOAD))).kind is ErrorKind.ENGINE_TIMEOUT

    run(main())


def test_where_no_engine_fits_every_verb_says_why(address: str) -> None:
    why = Failure(ErrorKind.ENGINE_UNSUPPORTED_HOST, "no engine fits", "install one")

    async def main() -> None:
        async with helper(address, UnsupportedEngine(why)), connected(address) as bus:
            agent = RemoteEngine(bus)
            release = FakeHost().publish("2")
            verbs = (agent.arm, agent.disarm, agent.discard, agent.rollback, agent.mark_good)
            doings = (
                agent.status(),
                agent.latest(),
                agent.stage(release, ignore),
                agent.prune_rollback(),
                *(verb(release.payload) for verb in verbs),
            )
            for doing in doings:
                assert (await refused(doing)).failure == why

    run(main())


def test_calls_wait_for_an_engine_that_is_still_being_chosen(address: str) -> None:
    async def main() -> None:
        chosen = asyncio.Event()

        async def choose() -> Engine:
            await chosen.wait()
            return FakeEngine(FakeHost("7"))

        async with two(address) as (bus, agent_bus):
            task = asyncio.create_task(serve(bus, choose, Terms(US, FOR_EVER, Notifier({}))))
            while not await bus.has_owner(ENGINE.destination):
                await asyncio.sleep(0)
            name = asyncio.create_task(agent_bus.get_property(ENGINE, "Name", "s"))
            status = asyncio.create_task(RemoteEngine(agent_bus).status())
            await settle(agent_bus, bus)
            assert not status.done()
            chosen.set()
            assert (await status).booted == deployment("7")
            assert await name == "ostree"
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    run(main())


def test_the_helper_ends_when_idle_and_not_before(address: str) -> None:
    async def main() -> None:
        async with bench(address, idle_secs=0.05) as at:
            with at.engine.hold("stage") as hold:
                staging = asyncio.create_task(at.remote.stage(at.host.publish("2"), ignore))
                await hold.reached.wait()
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(at.serving), 0.15)
                hold.release()
                await staging
            await at.serving
            assert not await at.agent_bus.has_owner(ENGINE.destination)

    run(main())


def test_a_call_that_arrives_while_it_ends_is_answered(address: str) -> None:
    """Whatever the instant: calls without pause, from the start until the name is gone."""

    async def main() -> None:
        async with bench(address, idle_secs=0.0) as at:

            async def ask_on() -> None:
                while True:
                    await at.remote.status()

            error = await refused(ask_on())
            assert error.kind is ErrorKind.ENGINE_UNREACHABLE
            assert "not provided by any .service" in error.message  # the daemon's word: nobody had the name
            await at.serving

    run(main())


def test_a_caller_that_left_before_anybody_looked_is_no_defect(
    address: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def nobody(_bus: Bus, name: str) -> bool:
        return not name.startswith(":")

    async def scenario(at: Bench) -> None:
        monkeypatch.setattr(Bus, "has_owner", nobody)
        assert (await refused(at.remote.stage(at.host.publish("2"), ignore))).kind is ErrorKind.ENGINE_UNREACHABLE
        assert at.engine.calls == []

    check(address, scenario)
    assert caplog.records == []


def test_a_helper_that_ends_while_it_stages_stops_that(address: str) -> None:
    async def scenario(at: Bench) -> None:
        with at.engine.hold("stage") as hold:
            staging = asyncio.create_task(at.remote.stage(at.host.publish("2"), ignore))
            await hold.reached.wait()
            os.kill(os.getpid(), signal.SIGTERM)
            assert (await refused(staging)).kind is ErrorKind.ENGINE_CANCELLED
            await at.serving
            assert not await at.agent_bus.has_owner(ENGINE.destination)

    check(address, scenario)


def test_a_verb_that_runs_at_the_end_is_finished(address: str) -> None:
    async def scenario(at: Bench) -> None:
        await at.remote.stage(at.host.publish("2"), ignore)
        with at.engine.hold("arm") as hold:
            arming = asyncio.create_task(at.remote.arm(payload_of("2")))
            await hold.reached.wait()
            os.kill(os.getpid(), signal.SIGTERM)
            while await at.agent_bus.has_owner(ENGINE.destination):
                await settle(at.agent_bus)
            assert not at.serving.done()
            hold.release()
            await arming
            await at.serving
        assert at.host.staged is not None
        assert not at.host.staged.locked

    check(address, scenario)
