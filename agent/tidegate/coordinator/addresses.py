"""Where to listen."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import ClassVar, cast

from tidegate.config.keys import Kind, faulty
from tidegate.config.problems import shown

MAX_PORT = 65535


@dataclass(frozen=True, slots=True)
class Address:
    """A host (empty: every address of this one) and a port (0: any that is free)."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host or "*"
        return f"{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this host can reach it. Of names, that is certain of one."""
        return self.host == "localhost" or is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether ``host`` is a loopback address; a name is none."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def parse_address(text: str) -> Address:
    """The inverse of ``str(address)``; ``:3333`` is every address, too.

    Raises:
        ValueError: it is no address with a port; the text says why.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdecimal()):
        raise ValueError("it does not end in a port")
    if int(port) > MAX_PORT:
        raise ValueError(f"ports end at {MAX_PORT}")
    if host.startswith("[") and host.endswith("]"):
        host = str(ipaddress.IPv6Address(host[1:-1]))
    elif ":" in host:
        raise ValueError("an IPv6 address needs brackets")
    if any(not sign.isprintable() or sign in " /@" for sign in host):
        raise ValueError("the host has a character that no host has")
    return Address("" if host == "*" else host, int(port))


@dataclass(frozen=True, slots=True)
class Listen(Kind[Address]):
    """An address with a port."""

    empty_is_default: ClassVar[bool] = True

    @property
    def wanted(self) -> str:
        """Examples."""
        return "an address and a port, such as 127.0.0.1:3333, [::1]:3333 or *:3333"

    def fits(self, value: object) -> bool:
        """Only a string."""
        return isinstance(value, str)

    def read(self, value: object) -> Address:
        """The address."""
        try:
            return parse_address(cast(str, value))
        except ValueError as error:
            raise faulty(f"{shown(value)} is no address to listen at: {error}", f"use {self.wanted}") from None

    def plain(self, setting: object) -> object:
        """As text."""
        return str(setting)
