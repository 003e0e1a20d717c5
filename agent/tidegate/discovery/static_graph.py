"""Discovery from an update graph in a file, on any web server or on this host's disk."""

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
"""Where the host keeps what it has trusted so far. It has to outlive reboots: whoever is offered something older than
what is in there is under attack."""

NOBODY = HostIdentity(group="default", basearch="")
"""A host of which nothing is known, which comes last in every rollout."""


@dataclass(frozen=True, slots=True)
class StaticGraph:
    """Reads the graph at ``url`` (http, https or file) anew at each check, and applies its rollouts to ``host``.

    ``url`` may have variables, which are the host's. ``timeout_secs`` bounds the whole of one check; ``ca_file``
    replaces the system's authorities. With ``trust``, the path of a root of trust, the graph has to be signed under it.
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
        """The direct successors of the booted release whose time has come for this host.

        ``stream`` is the one that the engine follows, as far as it tells.

        Raises:
            TidegateError: ``discovery.*``; ``config.invalid`` for an address that cannot be asked;
                ``net.worker-failed``.
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
    """By what the graph at ``url``, which is ``template`` filled in, is to be trusted.

    The repository is the folder before the first variable, so that what the host puts in for the variables is part of
    the signed name: whoever has the server cannot pass off the graph of one stream for that of another.
    """
    authority = url.find("://") + len("://")
    fixed = template.partition("${")[0]
    cut = max(fixed.rfind("/"), url.find("/", authority)) + 1
    return Trust(root_file, url[:cut], url[cut:], folder)
