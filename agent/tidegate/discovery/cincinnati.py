"""Discovery from a Cincinnati server, which gets the host's identity and applies phased rollouts itself.

Source: "Cincinnati for Fedora CoreOS" in Zincati's documentation (docs/development/cincinnati/protocol.md), and what
Zincati sends (``cincinnati_params()`` in src/identity/mod.rs: the id in hexadecimal, wariness with six decimals).
"""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.discovery.address import resolved
from tidegate.discovery.base import Offers
from tidegate.discovery.graph_keys import MAX_GRAPH_BYTES
from tidegate.discovery.wire import GraphRequest, OffersEvent
from tidegate.engines.entry import OCI_SCHEME
from tidegate.engines.registry import scheme_of
from tidegate.errors import ErrorKind, TidegateError
from tidegate.identity import HostIdentity
from tidegate.net.client import NetClient
from tidegate.net.urls import below

KEY = "cincinnati.base_url"
GRAPH_PATH = "v1/graph"


@dataclass(frozen=True, slots=True)
class Cincinnati:
    """A Cincinnati server at ``base_url`` (http or https, may have variables).

    ``timeout_secs`` is the total deadline of a check; ``ca_file`` replaces the system's certificate authorities.
    """

    base_url: str
    net: NetClient
    host: HostIdentity
    timeout_secs: float = 60.0
    ca_file: str | None = None

    async def find(self, booted_payload: str, booted_version: str, stream: str | None = None) -> Offers:
        """The direct successors of the booted release that the server offers to this host.

        ``stream`` is the one that the engine follows, if known.

        Raises:
            TidegateError: ``discovery.*``; ``config.invalid`` for an invalid address; ``net.worker-failed``.
        """
        host = self.host.following(stream)
        request = GraphRequest(
            below(resolved(KEY, self.base_url, host.variables), GRAPH_PATH),
            booted_payload,
            self.timeout_secs,
            MAX_GRAPH_BYTES,
            self.ca_file,
            query(host, booted_payload, booted_version),
        )
        return (await self.net.run(request, OffersEvent)).offers


def query(host: HostIdentity, booted_payload: str, booted_version: str) -> tuple[tuple[str, str], ...]:
    """The query parameters for ``host``: all that the protocol defines, without an id or wariness that is not set.

    Raises:
        TidegateError: ``discovery.unavailable``; the protocol requires a stream, and none is known.
    """
    if not host.stream:
        raise TidegateError(
            ErrorKind.DISCOVERY_UNAVAILABLE,
            "a Cincinnati server requires a stream, and neither the settings nor the running release name one",
            "set identity.stream",
        )
    parameters = {
        "basearch": host.basearch,
        "stream": host.stream,
        "node_uuid": host.node_uuid,
        "os_version": booted_version,
        "os_checksum": booted_payload,
        "group": host.group,
        "platform": host.platform,
        "rollout_wariness": None if host.rollout_wariness is None else f"{host.rollout_wariness:.6f}",
        "oci": "true" if scheme_of(booted_payload) == OCI_SCHEME else None,
    }
    return tuple((key, value) for key, value in parameters.items() if value is not None)
