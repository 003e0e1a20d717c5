"""The Debian packages on a plain host: installed, upgraded under a running agent, removed, purged without a trace."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest

from tests.e2e.agent_host import SETTLE_SECS
from tests.e2e.conftest import CHECKOUT
from tests.e2e.debs import packages, renumbered
from tests.e2e.lab.guest import Guest
from tests.e2e.lab.lab import Lab
from tests.e2e.lab.waiting import wait_for
from tests.e2e.plain_host import plain_host
from tests.e2e.suites import on_one_suite

pytestmark = pytest.mark.host

OLDER = "0.0.9"
NAMES = ("tidegate-common", "tidegate", "tidegate-coordinator")
SNIPPET = "/etc/tidegate/config.d/50-site.toml"
ATTEMPT: dict[str, object] = {
    "id": "20260101T000000Z-00000001",
    "from": {"version": "1", "payload": "a" * 64},
    "to": {"version": "2", "payload": "b" * 64},
    "purpose": "update",
    "reason": "automatic",
    "started_at": "2026-01-01T00:00:00Z",
    "ended_at": "2026-01-01T00:01:00Z",
    "outcome": "applied",
    "detail": "",
}
RECORDS = {"schema": 1, "intent": None, "denied": [], "history": [ATTEMPT]}

# All that is not a log, a list of dpkg's own, or what Python and systemd make of files that belong to others.
ALL_FILES = """
find /etc /opt /root /srv /usr /var -xdev -path /root/debs -prune -o -print
find /run -path '*tidegate*' -o -path '/run/motd.d*' -o -name 'reboot-required*'
"""
NOBODYS = ("/var/log/", "/var/cache/", "/var/lib/dpkg/", "/var/tmp/systemd-private-", "/__pycache__")


@contextmanager
def _host_with_packages(lab: Lab, suite: str) -> Generator[Guest]:
    """A host on which nothing is installed yet; the packages are in /root/debs."""
    newer = packages(lab.cache, CHECKOUT)
    with plain_host(lab, suite) as (guest, root):
        for name, folder in (("older", renumbered(lab.cache, newer, OLDER)), ("newer", newer)):
            _put(folder, root / "root/debs" / name)
        yield guest


@pytest.fixture(name="host")
def _host(lab: Lab, suite: str) -> Iterator[Guest]:
    with _host_with_packages(lab, suite) as host:
        yield host


@pytest.fixture(name="installed", scope="module")
def _installed(lab: Lab, suite: str) -> Iterator[Guest]:
    """For tests that only look."""
    with _host_with_packages(lab, suite) as host:
        _install(host, "newer")
        _settled(host)
        yield host


def _put(debs: Path, folder: Path) -> None:
    folder.mkdir(parents=True)
    for deb in debs.glob("*.deb"):
        (folder / deb.name).write_bytes(deb.read_bytes())


def test_the_life_of_the_packages(host: Guest) -> None:
    before = _files(host)
    _install(host, "older")
    _check_service(host)
    assert OLDER in host.sh("tidegate --version")
    told = _settled(host)
    assert told["state"] == "failed", "this host has nothing that Tidegate could update"
    assert "not booted from" in str(told["summary"]) or "engine" in str(told["last_error"])

    host.sh("systemctl stop tidegate.service")
    host.put("/var/lib/tidegate/records.json", json.dumps(RECORDS), 0o640)
    host.put(SNIPPET, "[updates]\nenabled = false\n")
    host.sh("chown tidegate: /var/lib/tidegate/records.json; systemctl start tidegate.service")
    pid, boot = _agent_pid(host), host.read("/proc/sys/kernel/random/boot_id")

    _install(host, "newer")
    _check_service(host)
    _settled(host)
    assert _agent_pid(host) != pid, "the agent that runs is the one that is installed"
    assert OLDER not in host.sh("tidegate --version")
    history = cast("dict[str, list[object]]", json.loads(host.sh("tidegate history --json")))["history"]
    assert history == [{**ATTEMPT, "cause": "", "healthy_secs": 0.0}]
    assert host.read("/proc/sys/kernel/random/boot_id") == boot
    assert "enabled = false" in host.sh("tidegate config show")

    host.sh("dpkg --remove tidegate-coordinator tidegate tidegate-common")
    assert host.run(["pgrep", "-f", "tidegate agent"]).rc == 1 or not host.pids("tidegate agent")
    assert host.read(SNIPPET) is not None, "what an administrator wrote stays until it is purged"
    assert host.read("/var/lib/tidegate/records.json") is not None

    host.sh("dpkg --purge tidegate-coordinator tidegate tidegate-common")
    assert _files(host) - before == set()
    assert before - _files(host) == set()
    assert host.sh("systemctl list-units --all --plain --no-legend 'tidegate*'").strip() == ""
    assert host.run(["getent", "passwd", "tidegate"]).ok, "its number is not given to anybody else"


def test_what_is_whose(installed: Guest) -> None:
    assert installed.sh("stat -c '%a %U:%G' /var/lib/tidegate").split() == ["750", "tidegate:tidegate"]
    assert installed.sh("find /var/lib/tidegate /etc/tidegate /usr/lib/tidegate -perm /022 ! -type l").strip() == ""
    assert installed.sh("find /usr/lib/tidegate ! -user root").strip() == ""
    as_nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    assert not installed.run([*as_nobody, "ls", "/var/lib/tidegate"]).ok
    assert not installed.run([*as_nobody, "touch", "/run/tidegate/config.d/x", "/run/tidegate/public/x"]).ok
    assert installed.run([*as_nobody, "tidegate", "status"]).rc == 0


@on_one_suite
def test_nothing_of_the_distributions_python_is_loaded(installed: Guest) -> None:
    installed.sh(
        "mkdir -p /usr/lib/python3/dist-packages; echo 'raise SystemExit(9)' > /usr/lib/python3/dist-packages/click.py"
    )
    assert installed.run(["tidegate", "--version"]).rc == 0
    installed.sh("cd /usr/lib/tidegate && PYTHONPATH=/usr/lib/python3/dist-packages tidegate config check")
    loaded = installed.sh("/usr/lib/tidegate/bin/python3 -Ic 'import sys; print(*sys.path)'")
    assert "dist-packages" not in loaded


def test_the_net_worker_is_found(installed: Guest) -> None:
    """It is started by the agent's own Python: a request of the command's goes the same way."""
    done = installed.run(["tidegate", "lock", "release", "--id", "a" * 32, "--url", "http://127.0.0.1:9/"])
    assert done.rc != 0
    assert "worker" not in done.err
    assert "refused" in done.err


@on_one_suite
def test_the_coordinator_needs_no_agent(host: Guest) -> None:
    host.sh("dpkg --install /root/debs/newer/tidegate-common_*.deb /root/debs/newer/tidegate-coordinator_*.deb")
    assert host.run(["systemctl", "is-enabled", "tidegate-coordinator.service"]).out.strip() == "disabled"
    host.sh("systemctl start tidegate-coordinator.service")
    assert "default" in host.sh("tidegate coordinator status")
    assert host.run(["systemctl", "cat", "tidegate.service"]).rc != 0
    host.sh("dpkg --purge tidegate-coordinator")
    assert host.run(["test", "-e", "/var/lib/private/tidegate-coordinator"]).rc == 1


@on_one_suite
def test_the_manual_and_the_completions_are_where_they_are_looked_for(installed: Guest) -> None:
    for page in ("1 tidegate", "5 tidegate-config", "8 tidegate-coordinator"):
        assert "NAME" in installed.sh(f"man {page}")
    # The first name is of Debian 12's bash-completion, the second of 13's.
    load = ". /usr/share/bash-completion/bash_completion; { _completion_loader tidegate || _comp_load tidegate; }"
    assert "_tidegate_completion" in installed.run(["bash", "-c", f"{load} 2>/dev/null; complete -p tidegate"]).out


def _install(host: Guest, which: str) -> None:
    host.sh(f"dpkg --install /root/debs/{which}/*.deb", timeout_secs=180)


def _check_service(host: Guest) -> None:
    assert host.sh("systemctl is-active tidegate.service").strip() == "active"
    assert host.sh("systemctl is-enabled tidegate.service").strip() == "enabled"
    assert host.sh("systemctl show -P NRestarts tidegate.service").strip() == "0", "all was there when it was started"
    assert host.run(["systemctl", "is-active", "tidegate-coordinator.service"]).out.strip() == "inactive"
    engine = ["busctl", "call", "org.tidegate.Engine1", "/org/tidegate/Engine1", "org.tidegate.Engine1", "Status"]
    answer = host.run(engine)
    assert (answer.rc, "no engine" in answer.err or "not booted" in answer.err) == (1, True), answer


def _settled(host: Guest) -> dict[str, object]:
    """What the agent says once it has looked at the host."""

    def look() -> dict[str, object] | None:
        text = host.read("/run/tidegate/public/status.json")
        told = cast("dict[str, object]", json.loads(text or "{}"))
        return told if told.get("state", "verifying") != "verifying" else None

    return wait_for(look, "an agent that has read the host", deadline_secs=SETTLE_SECS)


def _agent_pid(host: Guest) -> str:
    return host.sh("systemctl show -P MainPID tidegate.service").strip()


def _files(host: Guest) -> set[str]:
    found = host.sh(ALL_FILES).splitlines()
    return {path for path in found if not any(other in f"{path}/" for other in NOBODYS)}
