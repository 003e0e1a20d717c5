"""Fixtures of the ostree tests: one published repository, one server, a new sysroot for each test."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.fakes.flaky_server import FlakyServer, serve
from tests.integration.ostree.keys import Keys
from tests.integration.ostree.pretend_host import PretendHost
from tests.integration.ostree.tiny_os import Published, Repository, Sysroot

NEEDED = ("ostree", "unshare", "nsenter", "chattr", "mount")


@pytest.fixture(scope="session")
def _able() -> None:
    """Skip, with the reason, where the real thing cannot run."""
    if os.geteuid() != 0:
        pytest.skip("needs root: real OSTree sysroots and namespaces")
    if missing := [program for program in NEEDED if shutil.which(program) is None]:
        pytest.skip(f"needs {', '.join(missing)} installed")
    probe = subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True, check=False)
    if probe.returncode != 0:
        pytest.skip(f"this container allows no namespaces: {probe.stderr.decode().strip()}")


@pytest.fixture(scope="session")
def published(_able: None, tmp_path_factory: pytest.TempPathFactory) -> Published:
    """The repository; nobody changes it."""
    repository = Repository.create(tmp_path_factory.mktemp("published") / "repo")
    v1, v2, v3 = repository.commit("1.0"), repository.commit("2.0"), repository.commit("3.0")
    return Published(repository, v1, v2, v3, repository.delta(v1, v2))


@pytest.fixture
def server(published: Published) -> Generator[FlakyServer]:
    """Serves the repository, flawlessly until told otherwise."""
    with serve(published.repository.path) as server:
        yield server


@pytest.fixture(scope="session")
def installed(published: Published, tmp_path_factory: pytest.TempPathFactory) -> Generator[Sysroot]:
    """A sysroot with the first release; to be copied, not to be used."""
    sysroot = Sysroot.create(tmp_path_factory.mktemp("installed") / "sysroot", f"file://{published.repository.path}")
    sysroot.install(published.v1)
    yield sysroot
    sysroot.loosen()


@pytest.fixture
def sysroot(installed: Sysroot, server: FlakyServer, tmp_path: Path) -> Generator[Sysroot]:
    """A sysroot with the first release, which follows the server."""
    sysroot = installed.clone(tmp_path / "sysroot", server.url)
    yield sysroot
    sysroot.loosen()


@pytest.fixture
def host(sysroot: Sysroot, tmp_path: Path) -> PretendHost:
    """The same sysroot, to be booted."""
    return PretendHost(sysroot, tmp_path)


@pytest.fixture
def keys(tmp_path: Path, _able: None) -> Generator[Keys]:
    """Throw-away keys."""
    if shutil.which("gpg") is None:
        pytest.skip("needs gpg to sign releases")
    keys = Keys.create(tmp_path / "g")
    yield keys
    keys.dismiss()
