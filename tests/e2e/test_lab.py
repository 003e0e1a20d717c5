"""The lab itself: what scenarios rely on is true on both suites, and nothing is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
import zipfile
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException, IncompleteRead
from pathlib import Path

import pytest

from tests.e2e.conftest import CHECKOUT, REPO
from tests.e2e.lab.apt_sources import AptSource, lines_for, parse_deb822, parse_one_line
from tests.e2e.lab.bootloader import entry_of, fallback_entry
from tests.e2e.lab.cache import Cache, digest, locked
from tests.e2e.lab.debian import BaseHost
from tests.e2e.lab.depot import REF, Depot, File, Link, Release, in_release, open_depot
from tests.e2e.lab.disk import new_disk
from tests.e2e.lab.faults import Cut, FaultPlan, Garble, Hang, Unavailable
from tests.e2e.lab.guest import Guest, GuestGoneError
from tests.e2e.lab.lab import CGROUP_PREFIX, CGROUP_ROOT, NSPAWN_SOCKETS, Lab, open_lab
from tests.e2e.lab.layer import agent_layer
from tests.e2e.lab.machine import Machine
from tests.e2e.lab.namespaces import MOUNTS_ONLY, Namespaces
from tests.e2e.lab.process import LabError, must
from tests.e2e.lab.server import Server
from tests.e2e.lab.signing import new_signer
from tests.e2e.lab.sysroot import Remote
from tests.e2e.lab.waiting import wait_for
from tests.e2e.lab.wheels import Wheelhouse
from tests.e2e.suites import on_one_suite
from tests.e2e.world import MachineFactory

SHELL_SECS = 300.0
MIB = 1024 * 1024
FINALIZE = "systemctl start ostree-finalize-staged.service"  # without it a quick reboot may lose the staging (2022.7)


# Without a host


ONE_LINE = """\
# a comment
deb [arch=amd64 signed-by=/k.gpg] http://m/debian bookworm main contrib # the end
deb-src http://m/x y z
"""
DEB822 = """\
Types: deb deb-src
# another comment
URIs: http://m/debian
Suites: bookworm
 bookworm-updates
Components: main

Types: deb
Enabled: no
URIs: http://m/off
Suites: x
"""


def test_sources_of_both_formats_are_read() -> None:
    both = AptSource("http://m/debian", ("bookworm", "bookworm-updates"), ("main",))
    assert [*parse_one_line(ONE_LINE)] == [AptSource("http://m/debian", ("bookworm",), ("main", "contrib"), "/k.gpg")]
    assert [*parse_deb822(DEB822)] == [both]


def test_another_suite_comes_from_the_same_mirrors() -> None:
    archive = AptSource("http://m/debian", ("bookworm", "bookworm-updates"), ("main",), "/k.gpg")
    security = AptSource("http://m/security", ("bookworm-security",), ("main",))
    foreign = AptSource("http://m/node", ("nodistro",), ("main",))
    assert lines_for("trixie", [foreign, security, archive]) == [
        "deb [signed-by=/k.gpg] http://m/debian trixie main",
        "deb http://m/security trixie-security main",
    ]
    with pytest.raises(LabError, match="no Debian archive"):
        lines_for("trixie", [foreign])


def test_an_entry_of_the_cache_is_built_once_and_only_whole(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    builds: list[Path] = []

    def build(into: Path) -> None:
        builds.append(into)
        (into / "part").write_text("one")
        if len(builds) == 1:
            raise LabError("interrupted")

    key = digest("recipe")
    with pytest.raises(LabError, match="interrupted"):
        cache.entry("thing", key, build, keep=1)
    assert not cache.path("thing", key).exists()
    assert cache.entry("thing", key, build, keep=1) == cache.entry("thing", key, build, keep=1)
    assert len(builds) == 2


def test_a_cache_that_is_in_use_is_not_removed(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.entry("thing", digest("recipe"), lambda into: (into / "part").touch(), keep=1)
    with locked(tmp_path / ".thing.lock", "thing"), pytest.raises(LabError, match=r"in use \(\.thing\.lock\)"):
        cache.remove()
    assert cache.path("thing", digest("recipe")).exists()
    cache.remove()
    assert list(tmp_path.iterdir()) == []
    Cache(tmp_path / "none").remove()


def test_two_builders_at_once_build_once(tmp_path: Path) -> None:
    built: list[Path] = []
    both = threading.Barrier(2, timeout=10)

    def build_one(_: int) -> Path:
        both.wait()
        return Cache(tmp_path).entry("thing", digest("recipe"), built.append, keep=1)

    with ThreadPoolExecutor(max_workers=2) as builders:
        first, second = builders.map(build_one, range(2))
    assert first == second
    assert len(built) == 1


def test_what_a_killed_builder_left_is_cleared_away_and_old_entries_go(tmp_path: Path) -> None:
    cache, old, new = Cache(tmp_path), digest("old"), digest("new")
    cache.entry("thing", old, lambda into: None, keep=1)
    abandoned = tmp_path / f".thing-{new}.unfinished"
    abandoned.mkdir()
    (abandoned / "stale").touch()
    built = cache.entry("thing", new, lambda into: (into / "fresh").touch(), keep=1)
    assert [p.name for p in built.iterdir()] == ["fresh"]
    assert not cache.path("thing", old).exists()


def test_paths_of_a_host_are_translated_or_refused() -> None:
    assert in_release("/etc/tidegate/config.d/1.toml") == Path("usr/etc/tidegate/config.d/1.toml")
    assert in_release("/lib/systemd/system/x.service") == Path("usr/lib/systemd/system/x.service")
    with pytest.raises(LabError, match="not part of a release"):
        in_release("/var/lib/tidegate/x")


def test_faults_hit_what_they_name_and_are_used_up() -> None:
    plan = FaultPlan()
    plan.add(Unavailable(times=1, path="/graph"))
    plan.add(Cut(after_bytes=3))
    assert plan.take("/repo/x") == Cut(after_bytes=3)
    assert isinstance(plan.take("/graph"), Unavailable)
    assert isinstance(plan.take("/graph"), Cut)
    plan.clear()
    assert plan.take("/graph") is None


# The server


@pytest.mark.host
def test_the_server_fails_as_told_and_keeps_account(lab: Lab, server: Server) -> None:
    def get(path: str, timeout_secs: float = 5.0) -> bytes:
        def fetch() -> bytes:
            with urllib.request.urlopen(server.url + path, timeout=timeout_secs) as answer:
                return bytes(answer.read())

        return lab.on_network(fetch)

    server.put("/graph", "0123456789")
    assert get("/graph?os=x") == b"0123456789"
    assert server.traffic.sent_bytes("/graph") == 10

    server.break_with(Unavailable(times=1))
    with pytest.raises(urllib.error.HTTPError, match="503") as refused:
        get("/graph")
    refused.value.close()
    server.break_with(Cut(after_bytes=4, times=1))
    with pytest.raises(IncompleteRead):
        get("/graph")
    server.break_with(Garble(times=1))
    assert get("/graph") == b"012345678\xc6"
    server.break_with(Hang())
    with pytest.raises(TimeoutError):
        get("/graph", timeout_secs=0.2)
    server.faults.clear()
    assert get("/graph") == b"0123456789"

    server.stop()
    with pytest.raises((urllib.error.URLError, HTTPException)):
        get("/graph")
    server.start()
    assert get("/graph") == b"0123456789"


# Hosts


@pytest.fixture
def releases(plain_depot: Depot, server: Server) -> list[Release]:
    """Releases 1 and 2, the second with a file of its own, both published."""
    first = plain_depot.release("1")
    second = plain_depot.release("2", {"/etc/lab/second": File("2\n", 0o640), "/usr/bin/second": Link("true")})
    for release in (first, second):
        plain_depot.publish(release)
    server.mount(REPO, plain_depot.archive)
    return [first, second]


def stage(machine: Machine, release: Release) -> None:
    """Fetch and stage a release as an operator would."""
    machine.sh(f"ostree pull lab {REF}@{release.payload}; ostree admin deploy --stage lab:{REF}")


@pytest.mark.host
def test_a_host_boots_well_and_is_a_real_one(releases: list[Release], new_machine: MachineFactory) -> None:
    machine = new_machine(releases[0], "anvil")
    machine.put("/etc/lab/before", "put while off")
    machine.put("/run/lab/before", "put while off, too", 0o600)
    machine.power_on()
    guest = machine.wait_up()
    assert guest.run(["systemctl", "is-system-running"]).out == "running\n", machine.sh("systemctl --failed")
    assert machine.sh("hostname; cat /etc/lab/before") == "anvil\nput while off"
    assert machine.sh("cat /run/lab/before; stat -c ' %a' /run/lab/before") == "put while off, too 600\n"
    assert machine.sh("stat -c '%a %U' /usr/bin/su") == "4755 root\n"
    assert machine.sh("stat -c '%a %G' /usr/lib/dbus-1.0/dbus-daemon-launch-helper") == "4754 messagebus\n"
    assert machine.sh("systemctl start polkit; systemctl is-active polkit systemd-logind") == "active\nactive\n"
    assert machine.sh(f"ostree admin status | grep -c '^[*] debian {releases[0].payload}'") == "1\n"
    assert guest.run(["touch", "/usr/x"]).rc == 1
    assert "lab/base" not in machine.messages("-p", "err")
    for clumsy in ("tmpfiles", "sysusers"):
        assert machine.messages("-p", "warning", "-t", f"systemd-{clumsy}") == ""


@pytest.mark.host
def test_an_update_is_booted_and_so_is_the_older_entry_on_demand(
    releases: list[Release], new_machine: MachineFactory, server: Server
) -> None:
    first, second = releases
    machine = new_machine(first)
    machine.power_on()
    machine_id = machine.wait_up().read("/etc/machine-id")
    stage(machine, second)
    machine.sh(FINALIZE)
    assert server.traffic.sent_bytes(REPO) > 0
    assert machine.reboot().payload == second.payload
    assert machine.sh("stat -c %a /etc/lab/second; cat /etc/lab/second; readlink /usr/bin/second") == "640\n2\ntrue\n"
    assert machine.guest.read("/etc/machine-id") == machine_id
    assert 'VERSION="2"' in machine.sh("cat /etc/os-release")

    machine.choose_next(fallback_entry)
    assert machine.reboot().payload == first.payload
    machine.choose_next(entry_of(first.payload))
    assert machine.reboot().payload == first.payload
    assert machine.reboot().payload == second.payload


def test_the_sockets_of_a_container_that_was_killed_are_unmounted(lab: Lab) -> None:
    folder = NSPAWN_SOCKETS / "killed"
    lab.namespaces.must(["mkdir", "-p", folder])
    lab.namespaces.must(["mount", "-t", "tmpfs", "tmpfs", folder])
    lab.forget_machine("killed")
    assert not lab.namespaces.outside(folder).exists()
    lab.forget_machine("killed")


@on_one_suite
@pytest.mark.host
def test_a_power_cut_loses_the_staging_and_keeps_the_journal(
    releases: list[Release], new_machine: MachineFactory
) -> None:
    machine = new_machine(releases[0])
    machine.power_on()
    machine.wait_up()
    stage(machine, releases[1])
    machine.sh("logger -t lab-test before the cut; journalctl --sync")
    machine.power_cut()
    assert not machine.is_on
    with pytest.raises(GuestGoneError):
        machine.sh("true")
    assert machine.messages("-t", "lab-test") == "before the cut"
    machine.power_on()
    machine.wait_up()
    assert machine.boots[-1].payload == releases[0].payload
    assert "(staged)" not in machine.sh("ostree admin status")
    assert len({entry["_BOOT_ID"] for entry in machine.journal()}) == 2
    assert machine.messages("-b", "-1", "-t", "lab-test") == "before the cut"
    machine.power_off()
    assert [event.what for event in machine.events][-1] == "off"


@on_one_suite
@pytest.mark.host
def test_processes_are_killed_and_commands_have_deadlines(releases: list[Release], new_machine: MachineFactory) -> None:
    machine = new_machine(releases[0])
    machine.power_on()
    guest = machine.wait_up()
    machine.sh("systemd-run --unit=victim --property=Type=exec sleep 4242")
    assert guest.kill(r"^/usr/bin/sleep 4242$") == 1
    machine.wait_for(
        lambda: guest.run(["systemctl", "is-failed", "victim"]).out == "failed\n", "victim", deadline_secs=60
    )
    assert guest.run(["sleep", "60"], timeout_secs=0.2).rc == 124
    busctl = ["busctl", "--json=short", "get-property", "org.freedesktop.login1", "/org/freedesktop/login1"]
    from_outside = subprocess.run(
        [*busctl, "org.freedesktop.login1.Manager", "PreparingForShutdown"],
        env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": guest.bus_address},
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
    )
    assert json.loads(from_outside.stdout)["data"] is False


@on_one_suite
@pytest.mark.host
def test_a_full_disk_refuses_a_release_and_the_host_still_boots(
    lab: Lab, releases: list[Release], plain_depot: Depot, new_machine: MachineFactory
) -> None:
    large = plain_depot.release("3", {"/usr/share/large": File(os.urandom(40 * MIB))})
    plain_depot.publish(large)
    disk = new_disk(lab, 1024 * MIB)
    machine = new_machine(releases[0], disk=disk)
    machine.power_on()
    machine.wait_up()
    disk.leave_free(30 * MIB)
    refused = machine.guest.run(["ostree", "pull", "lab", f"{REF}@{large.payload}"])
    assert not refused.ok
    assert "No space left" in refused.err or "min-free-space" in refused.err
    disk.leave_free(200 * MIB)
    stage(machine, large)
    machine.sh(FINALIZE)
    assert machine.reboot().payload == large.payload


@pytest.mark.host
def test_only_signed_releases_are_taken_where_a_key_is_required(
    lab: Lab, base: BaseHost, server: Server, new_machine: MachineFactory
) -> None:
    with new_signer(lab.folder("gnupg")) as signer:
        depot = open_depot(lab, base, signer=signer)
        server.mount(REPO, depot.archive)
        signed = [depot.release(version) for version in ("1", "2")]
        unsigned = depot.release("3")
        for release in signed:
            depot.publish(release)
        must(["ostree", f"--repo={depot.archive}", "pull-local", depot.bare, unsigned.payload])
        machine = new_machine(signed[0], remote=Remote(server.url + REPO, signer.public_key))
        machine.power_on()
        guest = machine.wait_up()
        assert guest.run(["ostree", "pull", "lab", f"{REF}@{signed[1].payload}"]).ok
        refused = guest.run(["ostree", "pull", "lab", f"{REF}@{unsigned.payload}"])
        assert "no signatures found" in refused.err


@on_one_suite
@pytest.mark.host
def test_three_hosts_at_once_do_not_disturb_each_other(releases: list[Release], new_machine: MachineFactory) -> None:
    machines = [new_machine(releases[0], f"node{number}") for number in (1, 2, 3)]
    for machine in machines:
        machine.power_on()
    for machine in machines:
        machine.wait_up()
    machines[0].power_cut()
    assert machines[1].reboot().number == 2
    assert machines[2].sh("hostname; systemctl is-system-running") == "node3\nrunning\n"
    assert len({machine.sh("cat /etc/machine-id") for machine in machines[1:]}) == 2


# The agent's layer, with a stand-in for the agent

STAND_IN = """
import pathlib, sys

def main():
    if sys.argv[1:3] == ["install", "--root"]:
        usr = pathlib.Path(sys.argv[3], "usr/lib")
        for name, text in FILES.items():
            (usr / name).parent.mkdir(parents=True, exist_ok=True)
            (usr / name).write_text(text)

FILES = {
    "sysusers.d/tidegate.conf": 'u tidegate - "Update agent"\\n',
    "systemd/system/tidegate.service": "[Service]\\nUser=tidegate\\nType=exec\\nExecStart=/usr/bin/sleep infinity\\n",
}
"""


@pytest.fixture
def stand_in(tmp_path: Path) -> Wheelhouse:
    """A wheel of a project named tidegate that installs a unit and a user."""
    about = "tidegate-0.dist-info"
    files = {
        "tidegate_stand_in.py": STAND_IN,
        f"{about}/METADATA": "Metadata-Version: 2.1\nName: tidegate\nVersion: 0\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: lab\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/entry_points.txt": "[console_scripts]\ntidegate = tidegate_stand_in:main\n",
    }
    files[f"{about}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{about}/RECORD"])
    with zipfile.ZipFile(tmp_path / "tidegate-0-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    return Wheelhouse((tmp_path,))


@pytest.fixture
def stand_in_depot(lab: Lab, base: BaseHost, stand_in: Wheelhouse) -> Depot:
    """Releases with the stand-in on them."""
    layer = agent_layer(lab.cache, base, stand_in)
    assert agent_layer(lab.cache, base, stand_in) == layer
    return open_depot(lab, base, layers=[layer])


@pytest.mark.host
def test_the_agent_is_installed_enabled_and_runs_as_its_user(
    stand_in_depot: Depot, new_machine: MachineFactory
) -> None:
    machine = new_machine(stand_in_depot.release("1"))
    machine.power_on()
    machine.wait_up()
    assert machine.sh("systemctl is-enabled tidegate; systemctl is-active tidegate") == "enabled\nactive\n"
    assert machine.sh("stat -c %U /proc/$(systemctl show -p MainPID --value tidegate)") == "tidegate\n"
    assert machine.sh("readlink /usr/bin/tidegate; stat -c '%a %U %G' /etc/shadow") == (
        "/usr/lib/tidegate/bin/tidegate\n640 root shadow\n"
    )
    assert machine.sh("stat -c '%a %U' /etc/polkit-1/rules.d") in ("700 polkitd\n", "750 root\n")
    assert machine.sh("tidegate") == ""


# Nothing is left behind

BOOT_AND_HANG = """
import signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs inherit that it is ignored
from pathlib import Path
from tests.e2e.lab.cache import Cache
from tests.e2e.lab.debian import host_base
from tests.e2e.lab.depot import open_depot
from tests.e2e.lab.lab import open_lab
from tests.e2e.lab.machine import Machine
from tests.e2e.lab.sysroot import Remote, make_sysroot

cache = Cache(Path(sys.argv[1]))
with open_lab(cache) as lab:
    depot = open_depot(lab, host_base(cache, sys.argv[2]))
    with Machine(lab, make_sysroot(lab, depot.release("1"), Remote("http://127.0.0.1:1")), "left") as machine:
        machine.power_on()
        machine.wait_up()
        print(machine.guest.leader, lab.work, lab.cgroup("left"), flush=True)
        threading.Event().wait()
"""


@on_one_suite
@pytest.mark.host
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_a_harness_that_is_ended_takes_everything_along(
    lab: Lab, base: BaseHost, suite: str, end: signal.Signals
) -> None:
    harness = subprocess.Popen(
        [sys.executable, "-c", BOOT_AND_HANG, lab.cache.root, suite],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with harness:
        assert harness.stdout is not None
        leader, work, cgroup = harness.stdout.readline().split()
        assert Guest(int(leader), lab.namespaces.outside(Path(cgroup))).run(["true"]).ok
        harness.send_signal(end)
        harness.wait(timeout=60)
    wait_for(lambda: not Path(f"/proc/{leader}").exists(), "end of the machine", deadline_secs=60)
    with open_lab(lab.cache) as next_lab:
        wait_for(lambda: not Path(work).exists(), "removal of the work folder", deadline_secs=60)
        left = [p.name for p in next_lab.namespaces.outside(CGROUP_ROOT).glob(f"{CGROUP_PREFIX}-{harness.pid}-*")]
        assert left == []


@on_one_suite
@pytest.mark.host
def test_the_host_of_a_shell_has_a_release_to_update_to(base: BaseHost) -> None:
    typed = "tidegate check\ntidegate stage\ntidegate status\n"
    command = [sys.executable, "-m", "tests.e2e.lab", "shell", "--suite", base.suite]
    done = subprocess.run(
        command, cwd=CHECKOUT, input=typed, capture_output=True, text=True, timeout=SHELL_SECS, check=False
    )
    assert done.returncode == 0, done.stderr
    assert 'tidegate apply --reason "to try it"' in done.stdout
    assert "2 is available" in done.stdout
    assert "Staged:   2 (" in done.stdout


def test_an_error_of_a_command_has_its_own_words_only() -> None:
    with Namespaces.open(MOUNTS_ONLY) as namespaces, pytest.raises(LabError) as caught:
        namespaces.must(["sh", "-c", "echo no >&2; exit 3"])
    assert caught.value.message == "exit code 3 from: sh -c 'echo no >&2; exit 3'\nno"
