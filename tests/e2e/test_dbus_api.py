"""The agent's D-Bus service on whole hosts: real users, the real polkit, signals, a flood."""

from __future__ import annotations

import pytest

from tests.e2e.agent_host import SETTLE_SECS, AgentHost
from tests.e2e.suites import on_one_suite
from tests.e2e.world import MANUAL, World

pytestmark = [pytest.mark.host, on_one_suite]

CALLS = {
    "check": "Check",
    "stage": "Stage",
    "apply": "Apply sbas mischief true 0",
    "resume": "Resume s mischief",
    "rollback": "Rollback sas mischief 0",
    "allow": "Allow ss nothing mischief",
    "deny": "Deny ss nothing mischief",
    "forget-lock": "ForgetLock s mischief",
    "reload": "Reload",
}
"""Each action of polkit, and the call that needs it; none of them has a consequence on a host with nothing to do."""

ONE_ACTION_A_USER = """\
polkit.addRule(function(action, subject) {
  if (action.id === "org.tidegate.agent1." + subject.user.replace("may-", "")) { return polkit.Result.YES; }
});
"""
AT_AGENT = "org.tidegate.Agent1 /org/tidegate/Agent1 org.tidegate.Agent1"
AS_NOBODY = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
WATCHED = "/run/watched"


def answer(host: AgentHost, user: str, verb: str) -> str:
    """What a user is told."""
    asking = f"setpriv --reuid={user} --regid=nogroup --clear-groups busctl call {AT_AGENT} {CALLS[verb]}"
    done = host.machine.guest.run(["sh", "-c", asking])
    return f"{done.out}{done.err}".strip()


def is_refused(host: AgentHost, user: str, verb: str) -> bool:
    """Whether a user may not do what ``verb`` stands for; other reasons for a no come after that one."""
    return f"{user} may not {verb}" in answer(host, user, verb)


def test_each_action_is_for_whom_polkit_allows_it_and_for_nobody_else(world: World) -> None:
    host = world.started(MANUAL)
    for verb in CALLS:
        assert is_refused(host, "nobody", verb), verb
        host.machine.sh(f"useradd --no-create-home may-{verb}")
    host.machine.put("/etc/polkit-1/rules.d/10-test.rules", ONE_ACTION_A_USER)
    host.machine.wait_for(
        lambda: not is_refused(host, "may-check", "check"), "polkit has read its rules", deadline_secs=SETTLE_SECS
    )
    for user in CALLS:
        allowed = [verb for verb in CALLS if not is_refused(host, f"may-{user}", verb)]
        assert allowed == [user]
    told = host.wait("well", lambda told: told["state"] == "disabled")
    assert told["denied"] == []
    assert "reload asked for by may-reload" in host.machine.messages("-u", "tidegate.service")
    host.machine.sh("systemctl mask --now --runtime polkit.service")
    assert [verb for verb in CALLS if not is_refused(host, "may-check", verb)] == [], "no polkit, no leave"


def test_anybody_follows_the_agent_through_its_restart_to_its_end(world: World) -> None:
    host = world.started(MANUAL)
    following = f"exec tidegate status --watch >{WATCHED} 2>&1"
    unit = "systemd-run -q --unit=watch -p User=nobody -p RemainAfterExit=yes"
    host.machine.sh(f"install -m 666 /dev/null {WATCHED}; {unit} sh -c '{following}'")

    def told(text: str) -> None:
        host.machine.wait_for(
            lambda: text in (host.machine.guest.read(WATCHED) or ""), f"to hear of {text!r}", deadline_secs=SETTLE_SECS
        )

    told(" disabled: ")
    world.source.release(world.new)
    host.machine.sh("tidegate stage")
    told(" staging: ")
    told(" staged: ")
    host.machine.sh("systemctl restart tidegate.service")
    told("waiting 15 s for it")
    host.machine.sh(f"until tidegate deny 2 --reason 'it breaks things'; do sleep 0.2; done; : >{WATCHED}")
    host.machine.sh("tidegate allow 2 --reason 'it does not' && tidegate stage")
    told(" staged: ")
    host.machine.sh("systemctl stop tidegate.service")
    told("this was its last snapshot")
    host.machine.wait_for(
        lambda: host.machine.sh("systemctl show -P ExecMainStatus watch.service").strip() == "4",
        "to see it exit with 4",
        deadline_secs=SETTLE_SECS,
    )


def test_a_flood_from_a_user_keeps_root_from_nothing(world: World) -> None:
    host = world.started(MANUAL)
    one = f"busctl call {AT_AGENT} Explain >/dev/null 2>&1"
    loop = f"for i in 1 2 3 4 5 6 7 8; do (while :; do {one}; done) & done; wait"
    host.machine.sh(f"systemd-run -q --unit=flood -p User=nobody sh -c '{loop}'")
    before = host.machine.sh("systemctl show -P MainPID tidegate.service").strip()
    for _ in range(10):
        assert host.machine.guest.run(["tidegate", "check"], timeout_secs=30).rc == 0
    huge = "head -c 100000 /dev/zero | tr '\\0' x"
    refused = host.machine.guest.run(["sh", "-c", f'busctl call {AT_AGENT} Resume s "$({huge})"'])
    assert "too long" in refused.err
    host.machine.sh("systemctl stop flood.service")
    assert host.machine.sh("systemctl show -P MainPID tidegate.service").strip() == before
    host.wait("well", lambda told: told["state"] == "disabled")
