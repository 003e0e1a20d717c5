"""Discovery from an update graph in a file, on any web server or on this host's disk."""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.discovery.base import Offers
from tidegate.net.client import NetClient
from tidegate.net.wire import GraphRequest, OffersEvent

MAX_GRAPH_BYTES = 8 * 1024 * 1024
"""Some 20,000 releases, a hundred times what Fedora CoreOS has after years. The worker's memory grows with it."""


@dataclass(frozen=True, slots=True)
class StaticGraph:
    """Reads the graph at ``url`` (http, https or file) anew at each check.

    ``timeout_secs`` bounds the whole of one check; ``ca_file`` replaces the system's authorities.
    """

    url: str
    net: NetClient
    timeout_secs: float = 60.0
    ca_file: str | None = None

    async def find(self, booted_payload: str, booted_version: str) -> Offers:  # noqa: ARG002  (the protocol's)
        """The direct successors of the booted release, which a graph knows by its payload alone.

        Raises:
            TidegateError: ``discovery.*``; ``config.invalid`` for an address that cannot be asked;
                ``net.worker-failed``.
        """
        request = GraphRequest(self.url, booted_payload, self.timeout_secs, MAX_GRAPH_BYTES, self.ca_file)
        return (await self.net.run(request, OffersEvent)).offers
