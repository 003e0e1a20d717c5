"""Releases of a host that runs a shop: well ones, and ones in which it does not open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.e2e.agent_host import SETTLE_SECS, AgentHost, Document, Source
from tests.e2e.lab.depot import NO_EXTRAS, Depot, Extra, File, Link, Release
from tests.e2e.lab.server import Server
from tests.e2e.world import MachineFactory

PATIENCE: Final = 5
"""Looks that have to fail: as many seconds, in which a busy machine finishes its boot."""

UNHEALTHY = f"""\
[health]
retries = {PATIENCE}
[[health.unit]]
name = "shop"
unit = "shop.service"
[[health.command]]
name = "till"
command = ["/usr/lib/shop/till"]
timeout_secs = 2
"""
"""What has to be well: the shop, and its till."""

SPOILT = "/var/lib/shop-spoilt"
"""Where this is, the shop does not open in the well releases either."""

OPEN = f'#!/bin/sh\n[ ! -e {SPOILT} ] || {{ echo "the stock is spoilt" >&2; exit 4; }}\n'
SHUT = '#!/bin/sh\n[ -e /run/mended ] || { echo "no money in the till" >&2; exit 3; }\n'
HANGS = "#!/bin/sh\necho counting\nexec sleep 614\n"

SHOP = """\
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/lib/shop/open
"""


class Shop:
    """Its releases, of which the first is out and well, and hosts that run it."""

    def __init__(self, depot: Depot, server: Server, new_machine: MachineFactory) -> None:
        self._depot = depot
        self._new_machine = new_machine
        self.old = shop_release(depot, "1", OPEN)
        self.source = Source.of(depot, server, self.old)

    def host(self) -> AgentHost:
        """A host that is switched off."""
        return AgentHost(self._new_machine(self.old))

    def started(self, extra: str) -> AgentHost:
        """A host that runs the first release and has nothing to do."""
        host = self.host()
        host.start(self.source, extra)
        return host

    def offer(
        self,
        version: str,
        opens: str = OPEN,
        till: str | None = None,
        *,
        rollback_floor: str | None = None,
        extras: Mapping[str, Extra] = NO_EXTRAS,
    ) -> Release:
        """Offer a release from every earlier one."""
        release = shop_release(self._depot, version, opens, till, extras)
        self.source.release(release, rollback_floor=rollback_floor)
        return release


def shop_release(
    depot: Depot, version: str, opens: str, till: str | None = None, extras: Mapping[str, Extra] = NO_EXTRAS
) -> Release:
    """A release in which the shop starts with ``opens``, and its till is looked at with ``till``, or the same."""
    shop: dict[str, Extra] = {
        "/usr/lib/shop/open": File(opens, 0o755),
        "/usr/lib/shop/till": File(opens if till is None else till, 0o755),
        "/etc/systemd/system/shop.service": File(SHOP),
        "/etc/systemd/system/multi-user.target.wants/shop.service": Link("../shop.service"),
    }
    return depot.release(version, {**shop, **extras})


def wait_paused(host: AgentHost, *, boots: int) -> Document:
    """Wait until boot ``boots`` was found not well and is let alone."""
    host.machine.wait_boot(boots, deadline_secs=SETTLE_SECS)
    return host.wait("paused", lambda told: told["state"] == "paused")


def mend(host: AgentHost) -> None:
    """What a person does about a shop that does not open, and has the agent look at once rather than in a minute."""
    host.machine.sh(f"touch /run/mended; rm -f {SPOILT}; systemctl restart shop.service tidegate.service")
