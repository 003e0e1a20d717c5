"""Whole hosts for tests.

``TIDEGATE_LAB_SUITES`` narrows the suites; with ``TIDEGATE_LAB_REQUIRED=1`` a machine that cannot run hosts fails the
tests instead of skipping them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.lab.cache import Cache, remove_tree
from tests.e2e.lab.debian import BaseHost, host_base
from tests.e2e.lab.depot import Depot, Release, open_depot
from tests.e2e.lab.disk import Disk
from tests.e2e.lab.doctor import can_run
from tests.e2e.lab.lab import Lab, open_lab
from tests.e2e.lab.layer import agent_layer
from tests.e2e.lab.machine import Machine
from tests.e2e.lab.server import Server, serve
from tests.e2e.lab.sysroot import Remote, make_sysroot
from tests.e2e.lab.wheels import wheelhouse
from tests.e2e.suites import chosen_suites
from tests.e2e.world import MachineFactory, World

CHECKOUT = Path(__file__).resolve().parents[2]
REPO = "/repo"  # where a test's server has the repository
REQUIRED_VARIABLE = "TIDEGATE_LAB_REQUIRED"


@pytest.fixture(scope="session")
def lab_cache() -> Cache:
    """The cache of built hosts."""
    return Cache.default(print)


@pytest.fixture(scope="session")
def lab(lab_cache: Cache) -> Iterator[Lab]:
    """The room that machines run in; tests that need it are skipped, with the reason, where there can be none."""
    if reason := can_run():
        (pytest.fail if os.environ.get(REQUIRED_VARIABLE) == "1" else pytest.skip)(reason)
    with open_lab(lab_cache) as lab:
        yield lab


@pytest.fixture(scope="session", params=chosen_suites())
def suite(request: pytest.FixtureRequest) -> str:
    """The Debian suite of the test's hosts."""
    return str(request.param)


@pytest.fixture(scope="session")
def base(lab: Lab, suite: str) -> BaseHost:
    """The base host of the suite."""
    return host_base(lab.cache, suite)


@pytest.fixture(scope="session")
def agent(base: BaseHost, lab: Lab) -> Path:
    """What the agent of this checkout, built as a wheel and installed, lays over the base host."""
    return agent_layer(lab.cache, base, wheelhouse(lab.cache, CHECKOUT, base.suite))


@pytest.fixture(scope="session")
def depot(lab: Lab, base: BaseHost, agent: Path) -> Depot:
    """Releases with the agent on them. Tests share it: each commits and publishes its own."""
    return open_depot(lab, base, layers=[agent])


@pytest.fixture(scope="session")
def plain_depot(lab: Lab, base: BaseHost) -> Depot:
    """Releases without an agent. Tests share it: each commits and publishes its own."""
    return open_depot(lab, base)


@pytest.fixture
def server(lab: Lab) -> Iterator[Server]:
    """A server on the lab's loopback with nothing on it yet: ``server.mount(REPO, depot.archive)``."""
    with serve(lab) as server:
        yield server


@pytest.fixture
def new_machine(lab: Lab, server: Server) -> Iterator[MachineFactory]:
    """Makes machines; they are unplugged and their disks wiped at the end. What happens to them is printed."""
    with ExitStack() as made:

        def make(
            release: Release, name: str = "host", *, remote: Remote | None = None, disk: Disk | None = None
        ) -> Machine:
            sysroot = make_sysroot(lab, release, remote or Remote(f"{server.url}{REPO}"), disk=disk)
            made.callback(disk.eject if disk else lambda: remove_tree(sysroot.path))
            return made.enter_context(Machine(lab, sysroot, name, print))

        yield make


@pytest.fixture
def world(depot: Depot, server: Server, new_machine: MachineFactory) -> World:
    """Two releases, of which the first is out."""
    return World(depot, server, new_machine)
