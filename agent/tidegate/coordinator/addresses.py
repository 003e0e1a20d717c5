"""Listen addresses: an IP address or host name, and a port."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import ClassVar, cast

from tidegate.config.keys import Kind, faulty
from tidegate.config.problems import shown

MAX_PORT = 65535


@dataclass(frozen=True, slots=True)
class Address:
    """A host (empty: all addresses of this host) and a port (0: any free port)."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host or "*"
        return f"{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this host can reach it. Of host names, only ``localhost`` counts: others are not resolved."""
        return self.host == "localhost" or is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether ``host`` is a loopback IP address; False for a host name."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def parse_address(text: str) -> Address:
    """Parse what ``str(address)`` writes; ``:3333`` means all addresses, too.

    Raises:
        ValueError: not an address with a port; the text says why.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdecimal()):
        raise ValueError("it does not end in a port")
    if int(port) > MAX_PORT:
        raise ValueError(f"the highest port is {MAX_PORT}")
    if host.startswith("[") and host.endswith("]"):
        host = str(ipaddress.IPv6Address(host[1:-1]))
    elif ":" in host:
        raise ValueError("an IPv6 address needs brackets")
    if any(not sign.isprintable() or sign in " /@" for sign in host):
        raise ValueError("the host has a character that is not allowed in a host name")
    return Address("" if host == "*" else host, int(port))


@dataclass(frozen=True, slots=True)
class Listen(Kind[Address]):
    """The kind of a key that takes a listen address."""

    empty_is_default: ClassVar[bool] = True

    @property
    def wanted(self) -> str:
        """The accepted form, with examples."""
        return "an address and a port, such as 127.0.0.1:3333, [::1]:3333 or *:3333"

    def fits(self, value: object) -> bool:
        """Whether the value is a string."""
        return isinstance(value, str)

    def read(self, value: object) -> Address:
        """Parse the address.

        Raises:
            FaultyValueError: not a listen address.
        """
        try:
            return parse_address(cast(str, value))
        except ValueError as error:
            raise faulty(f"{shown(value)} is not an address to listen at: {error}", f"use {self.wanted}") from None

    def plain(self, setting: object) -> object:
        """The address as text."""
        return str(setting)
