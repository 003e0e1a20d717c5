"""What a host shows of Tidegate to monitoring, to who logs in, and to Debian's own tools."""

from __future__ import annotations

from pathlib import Path

import prometheus_client
import pytest

from tests.e2e.agent_host import SETTLE_SECS, AgentHost
from tests.e2e.lab.debian import SUITES
from tests.e2e.lab.depot import Extra, File
from tests.e2e.lab.guest import Guest
from tests.e2e.people import PERSON_AT_A_SCREEN, PYTHON, SCREEN, has_read
from tests.e2e.suites import on_one_suite
from tests.e2e.world import MANUAL, World
from tests.fakes.samples import Samples

pytestmark = [pytest.mark.host, on_one_suite]

AS_NOBODY = "setpriv --reuid=nobody --regid=nogroup --clear-groups"
READ_SOCKET = """
import socket, sys
reader = socket.socket(socket.AF_UNIX)
reader.connect("/run/tidegate/public/metrics.promsock")
sys.stdout.write(b"".join(iter(lambda: reader.recv(65536), b"")).decode())
"""
TEXTFILE = "/var/lib/prometheus/node-exporter/tidegate.prom"
MOTD = "/run/tidegate/public/motd"


def library(suite: str) -> dict[str, Extra]:
    """prometheus-client, beside the agent: the host's own Python can run this one's, which is nothing but Python."""
    source = Path(prometheus_client.__file__).parent
    into = f"/usr/lib/tidegate/lib/python{SUITES[suite]}/site-packages/prometheus_client"
    files = sorted(source.rglob("*.py"))
    return {f"{into}/{file.relative_to(source)}": File(file.read_bytes()) for file in files}


def metrics_at_the_socket(host: AgentHost) -> Samples:
    """As an exporter reads them that is nobody."""
    return Samples(host.machine.sh(f"{AS_NOBODY} {PYTHON} -c '{READ_SOCKET}'").encode())


def test_metrics_at_the_socket_and_as_a_file(world: World, suite: str) -> None:
    host = world.host(world.depot.release("1m", library(suite)))
    host.start(world.source, MANUAL)
    host.machine.sh("systemctl start tidegate-metrics.socket")
    samples = metrics_at_the_socket(host)
    assert samples["tidegate_agent_up"] == 1, "the sandbox lets it see the agent"
    assert samples.ones("tidegate_state", "state") == ["disabled"]
    process = host.machine.sh("systemctl show -P MainPID tidegate-metrics.service").strip()
    assert host.machine.sh(f"stat -c %U /proc/{process}").strip() not in {"root", "tidegate"}

    host.machine.sh("systemctl kill --signal=KILL tidegate-metrics.service")
    assert metrics_at_the_socket(host)["tidegate_agent_up"] == 1, "it is started for the next reader"

    host.machine.sh("systemctl stop tidegate.service")
    host.machine.wait_for(
        lambda: metrics_at_the_socket(host)["tidegate_agent_up"] == 0, "a new page", deadline_secs=SETTLE_SECS
    )
    assert metrics_at_the_socket(host).ones("tidegate_state", "state") == ["disabled"], "the last word stays"

    host.machine.sh(f"mkdir -p {Path(TEXTFILE).parent}; systemctl start tidegate-metrics-textfile.timer")
    host.machine.wait_for(lambda: host.machine.guest.read(TEXTFILE), "the file", deadline_secs=SETTLE_SECS)
    assert Samples((host.machine.guest.read(TEXTFILE) or "").encode())["tidegate_agent_up"] == 0
    assert host.machine.sh(f"stat -c '%a %U' {TEXTFILE}").split() == ["644", "root"]
    assert host.machine.sh("systemctl --failed --plain --no-legend").strip() == ""


def test_without_the_library_a_reader_is_hung_up_on_and_the_journal_has_what_to_do(world: World) -> None:
    host = world.started(MANUAL)
    host.machine.sh("systemctl start tidegate-metrics.socket")
    for _ in range(8):
        assert host.machine.sh(f"{PYTHON} -c '{READ_SOCKET}'") == ""
    assert host.machine.sh("systemctl is-active tidegate-metrics.socket").strip() == "active"
    assert "pip install 'tidegate[metrics]'" in host.machine.messages("-u", "tidegate-metrics.service")


def test_a_release_that_waits_is_told_at_the_login_and_to_other_tools(world: World) -> None:
    host = world.started(MANUAL)
    guest = host.machine.guest
    assert guest.read(MOTD) is None
    assert "idegate" not in shown_at_login(guest, "before")
    assert guest.read("/run/reboot-required") is None

    world.source.release(world.new)
    host.machine.sh("tidegate stage")
    host.machine.wait_for(
        lambda: guest.read("/run/reboot-required"), "the reboot is required", deadline_secs=SETTLE_SECS
    )
    assert guest.read("/run/reboot-required.pkgs") == "tidegate\n"
    host.machine.wait_for(
        lambda: "release 2 is staged and waits for a reboot since" in (guest.read("/run/motd.d/60-tidegate") or ""),
        "root has made the message",
        deadline_secs=SETTLE_SECS,
    )
    assert guest.run(["stat", "-c", "%U %F", "/run/motd.d/60-tidegate"]).out == "root regular file\n"
    assert "Tidegate: release 2 is staged" in shown_at_login(guest, "after")

    before = (host.snapshot() or {})["writer"]
    host.machine.sh("systemctl restart tidegate.service")
    host.wait("adopted", lambda told: told["state"] == "staged" and told["writer"] != before)
    assert guest.read("/run/reboot-required") is not None
    assert "release 2 is staged" in (guest.read(MOTD) or "")

    host.machine.sh("nohup tidegate apply --now --reason 'a test' >/dev/null 2>&1 &")
    host.wait_settled(world.new, boots=2)
    assert host.machine.guest.read(MOTD) is None
    assert host.machine.guest.read("/run/reboot-required") is None


def test_a_reboot_that_is_not_wanted_any_more_is_not_required_any_more(world: World) -> None:
    host = world.started(MANUAL)
    world.source.release(world.new)
    host.machine.sh("echo linux-image-6.1.0 > /run/reboot-required.pkgs; tidegate stage")
    host.machine.wait_for(
        lambda: host.machine.guest.read("/run/reboot-required"), "required", deadline_secs=SETTLE_SECS
    )
    host.machine.sh("systemctl stop tidegate.service; rm /run/tidegate/public/reboot-required")

    def lines() -> str | None:
        return host.machine.guest.read("/run/reboot-required.pkgs")

    host.machine.wait_for(lambda: lines() == "linux-image-6.1.0\n", "our line is gone", deadline_secs=SETTLE_SECS)
    assert host.machine.guest.read("/run/reboot-required") is not None, "the kernel's package still wants it"


def shown_at_login(guest: Guest, name: str) -> str:
    """What login(1), with Debian's own PAM configuration, puts on the terminal of root."""
    guest.put(SCREEN, PERSON_AT_A_SCREEN)
    guest.sh(f"systemd-run -q --unit=screen-{name} {PYTHON} {SCREEN} {name}")
    guest.sh(f"until [ -e /run/{name}.tty ]; do sleep 0.1; done", timeout_secs=30)
    tty = (guest.read(f"/run/{name}.tty") or "").strip()
    on_it = f"-p StandardInput=tty -p StandardOutput=tty -p TTYPath={tty}"
    guest.sh(f"systemd-run -q --unit=login-{name} {on_it} login -f root")
    guest.sh(f"until grep -q '#' /run/{name}.seen; do sleep 0.1; done", timeout_secs=30)
    guest.sh(f"systemctl stop login-{name}.service screen-{name}.service")
    return has_read(guest, name)
