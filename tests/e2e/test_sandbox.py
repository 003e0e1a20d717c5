"""What the helper's unit takes away, and that every verb of an engine still works with what is left."""

from __future__ import annotations

import json
from typing import cast

import pytest

from tests.e2e.agent_host import AgentHost
from tests.e2e.world import MANUAL, World

pytestmark = pytest.mark.host

ENGINE = "org.tidegate.Engine1"
VERB_SECS = 120.0

# The unit with another program, which is run once: what it may do is what the helper's children may.
AS_THE_HELPER = r"""
unit=/run/systemd/system/as-the-helper.service
sed -e '/^\(Type\|BusName\|NotifyAccess\|KillMode\|ExecStart\)=/d' \
    -e 's|^\[Service\]|&\nType=oneshot\nExecStart=/bin/sh /run/as-the-helper.sh|' \
    /usr/lib/systemd/system/tidegate-engine.service > $unit
systemctl daemon-reload
systemctl start as-the-helper.service || { journalctl -q -b -u as-the-helper.service -o cat; exit 1; }
"""


def test_every_verb_of_the_engine_works_in_its_sandbox(world: World) -> None:
    host = world.started(MANUAL)
    world.depot.publish(world.new)
    new = world.new
    _verb(host, "Stage", "ss", new.version, new.payload)
    assert _staged(host) == [[new.version, new.payload, True]]
    _verb(host, "Arm", "s", new.payload)
    assert _staged(host) == [[new.version, new.payload, False]]
    _verb(host, "Disarm", "s", new.payload)
    assert _staged(host) == [[new.version, new.payload, True]]
    _verb(host, "Discard", "s", new.payload)
    assert _staged(host) == []
    _verb(host, "Stage", "ss", new.version, new.payload)
    _verb(host, "Arm", "s", new.payload)
    host.machine.reboot()
    host.wait_settled(new, boots=2)
    _verb(host, "MarkGood", "s", new.payload)
    assert _boot_order(host) == [new.payload, world.old.payload]
    _verb(host, "Rollback")
    assert _boot_order(host) == [world.old.payload, new.payload]
    host.machine.reboot()
    host.wait_settled(world.old, boots=3)
    _verb(host, "PruneRollback")
    assert _boot_order(host) == [world.old.payload]
    assert "Permission denied" not in host.machine.messages("-u", "tidegate-engine.service")


def test_the_helper_can_run_a_command_outside_of_its_sandbox_and_little_inside(world: World) -> None:
    host = world.started(MANUAL)
    script = """
    set -e
    [ "$(systemd-run --quiet --pipe --wait --collect --service-type=exec sh -c 'touch /etc/made; id -u')" = 0 ]
    ! touch /etc/inside 2>/dev/null
    ! touch /usr/inside 2>/dev/null
    ! mknod /run/null c 1 3 2>/dev/null
    ! setpriv --reuid=1 true 2>/dev/null
    ! unshare --net true 2>/dev/null
    ! python3 -c 'import socket; socket.socket(socket.AF_PACKET)' 2>/dev/null
    touch /boot/.writable /sysroot/.writable /run/.writable
    """
    host.machine.put("/run/as-the-helper.sh", script)
    host.machine.sh(AS_THE_HELPER)
    host.machine.sh("test -e /etc/made; test -e /boot/.writable; ! test -e /etc/inside")


def _verb(host: AgentHost, member: str, *arguments: str) -> list[object]:
    """What the helper answers to root."""
    where = [ENGINE, "/org/tidegate/Engine1", ENGINE]
    call = ["busctl", "--json=short", f"--timeout={VERB_SECS:g}", "call", *where, member, *arguments]
    answer = host.machine.guest.run(call, timeout_secs=VERB_SECS).checked()
    return cast("dict[str, list[object]]", json.loads(answer or '{"data": []}'))["data"]


def _staged(host: AgentHost) -> list[object]:
    """Version, payload and whether it is locked, of what is staged."""
    return cast("list[object]", _verb(host, "Status")[3])


def _boot_order(host: AgentHost) -> list[str]:
    return [entry.payload for entry in host.machine.sysroot.entries()]
