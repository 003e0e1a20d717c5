"""Discovery from a static update graph: a file on any web server or on this host's disk."""

from __future__ import annotations

from dataclasses import dataclass, field

from tidegate.clock import Clock, SystemClock
from tidegate.discovery.address import resolved
from tidegate.discovery.base import Offers
from tidegate.discovery.graph_keys import MAX_GRAPH_BYTES
from tidegate.discovery.rollout import phased
from tidegate.discovery.wire import GraphRequest, OffersEvent, Trust
from tidegate.errors import TidegateError
from tidegate.identity import HostIdentity
from tidegate.net.client import NetClient
from tidegate.net.urls import masked

KEY = "discovery.static_graph.url"

TRUST_FOLDER = "/var/lib/tidegate/tuf"
"""The latest trusted metadata. It has to survive reboots: older metadata than these are a rollback attack."""

NOBODY = HostIdentity(group="default", basearch="")
"""A host without an identity, which is the last in every rollout."""


@dataclass(frozen=True, slots=True)
class StaticGraph:
    """The graph at ``url`` (http, https or file), fetched at each check; its rollouts are applied to ``host``.

    ``url`` may have variables, with the host's values. ``timeout_secs`` is the total deadline of a check; ``ca_file``
    replaces the system's certificate authorities. With ``trust``, the path of a root of trust, the graph has to be
    signed under it.
    """

    url: str
    net: NetClient
    host: HostIdentity = NOBODY
    clock: Clock = field(default_factory=SystemClock)
    timeout_secs: float = 60.0
    ca_file: str | None = None
    trust: str | None = None
    trust_folder: str = TRUST_FOLDER

    async def find(
        self,
        booted_payload: str,
        booted_version: str,  # noqa: ARG002  (the protocol's; a graph knows releases by their payload alone)
        stream: str | None = None,
    ) -> Offers:
        """The direct successors of the booted release that are offered to this host.

        ``stream`` is the one that the engine follows, if known.

        Raises:
            TidegateError: ``discovery.*``; ``config.invalid`` for an invalid address; ``net.worker-failed``.
        """
        url = resolved(KEY, self.url, self.host.following(stream).variables)
        trust = None if self.trust is None else trusting(self.trust, self.url, url, self.trust_folder)
        request = GraphRequest(url, booted_payload, self.timeout_secs, MAX_GRAPH_BYTES, self.ca_file, trust=trust)
        offers = (await self.net.run(request, OffersEvent)).offers
        wariness = self.host.rollout_wariness
        host = self.host.node_uuid if wariness is None else wariness
        try:
            return phased(offers, host, self.clock.now().wall)
        except TidegateError as error:
            raise TidegateError(error.kind, f"{masked(url)}: {error.message}", error.remedy) from error


def trusting(root_file: str, template: str, url: str, folder: str) -> Trust:
    """How to verify the graph at ``url``, which is ``template`` with its variables expanded.

    The TUF repository is the folder before the first variable, so that the variables' values are part of the signed
    target name: an attacker on the server cannot substitute the graph of one stream for that of another.
    """
    authority = url.find("://") + len("://")
    fixed = template.partition("${")[0]
    cut = max(fixed.rfind("/"), url.find("/", authority)) + 1
    return Trust(root_file, url[:cut], url[cut:], folder)
