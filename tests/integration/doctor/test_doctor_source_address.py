"""What the doctor finds where the address of a Cincinnati server was written for Zincati."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.fakes.http_misbehaving import Caller, answers, serving
from tidegate.discovery.settings import CincinnatiSettings
from tidegate.doctor import discovery
from tidegate.doctor.base import Host
from tidegate.identity import HostIdentity
from tidegate.settings import Settings

SNAPSHOT = {"booted": {"version": "1", "payload": "a" * 64}, "host": {"stream": "stable"}}
IDENTITY = HostIdentity("default", "x86_64", stream="stable", node_uuid="0" * 32)


@pytest.mark.parametrize(("path", "hint"), [("/updates/api", True), ("/updates/", False), ("/elsewhere/api", False)])
def test_an_address_that_zincati_shortens_is_found(path: str, *, hint: bool) -> None:
    def behave(caller: Caller) -> None:
        at_home = server.requests[-1].split()[1].startswith("/updates/v1/graph")
        (answers(b'{"nodes": [], "edges": []}') if at_home else answers(b"", "404 Not Found"))(caller)

    with serving(behave) as server:
        settings = replace(Settings(), cincinnati=CincinnatiSettings(server.url(path)))
        host = Host(settings, (), SNAPSHOT, IDENTITY, None, 0)
        found = {one.check: one for one in asyncio.run(discovery.examine(host))}
        assert ("address" in found) == hint
        if hint:
            assert server.url("/updates/") in found["address"].remedy
