"""Check keys against each other: a selected strategy or source needs the keys that it works with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tidegate.config.health import Health
from tidegate.config.problems import shown
from tidegate.config.settings import FleetLock, Settings
from tidegate.config.urls import why_bad
from tidegate.printable import without_password

_HTTP = ("http", "https")
_HTTP_OR_FILE = (*_HTTP, "file")

_TO_THIS_HOST = re.compile(r"http://(?:[^/@]*@)?(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d*)?(?:/.*)?", re.I)
_HAS_USER = re.compile(r"[^/]*//[^/]*@.*")


@dataclass(frozen=True, slots=True)
class Conflict:
    """``key`` is not what another key, ``because_of``, needs. Reported at ``key``, or at the other if that is unset."""

    key: str
    because_of: str
    message: str
    remedy: str


def conflicts(settings: Settings) -> Iterator[Conflict]:
    """Every conflict between keys that are valid one by one."""
    strategies = settings.updates.strategy
    if "fleet_lock" in strategies:
        yield from _fleet_lock(settings.fleet_lock)
    if "periodic" in strategies and not settings.periodic.windows:
        yield Conflict(
            "updates.periodic.window",
            "updates.strategy",
            'the strategy "periodic" has no windows, so the host would never reboot',
            "add a [[updates.periodic.window]] with days, start_time and length_minutes",
        )
    yield from _sources(settings)
    yield from _health(settings.health)


def _health(health: Health) -> Iterator[Conflict]:
    """A start delay at its default is never in conflict: it ends with the watch."""
    chosen = health.start_delay_secs != Health().start_delay_secs
    if chosen and 0 < health.monitor_secs < health.start_delay_secs:
        why = f"{health.start_delay_secs} s exceed the watch of {health.monitor_secs} s, so that no check could fail"
        remedy = f"set it to at most {health.monitor_secs}, or health.monitor_secs to more"
        yield Conflict("health.start_delay_secs", "health.monitor_secs", why, remedy)


def _fleet_lock(lock: FleetLock) -> Iterator[Conflict]:
    table, selector = "updates.fleet_lock", "updates.strategy"
    yield from _base_url(f"{table}.base_url", lock.base_url, selector, "fleet_lock", "v1/pre-reboot")
    if lock.client_cert_file and not lock.client_key_file:
        why, remedy = "the client certificate has no key", "set it to the key's file; both may be in one"
        yield Conflict(f"{table}.client_key_file", f"{table}.client_cert_file", why, remedy)
    if lock.client_key_file and not lock.client_cert_file:
        why, remedy = "the key has no client certificate", "set it to the certificate's file"
        yield Conflict(f"{table}.client_cert_file", f"{table}.client_key_file", why, remedy)
    if lock.token_file:
        yield from _token(f"{table}.base_url", f"{table}.token_file", lock.base_url)


def _token(key: str, because_of: str, url: str) -> Iterator[Conflict]:
    if url.lower().startswith("http:") and not _TO_THIS_HOST.fullmatch(url):
        why = "the token would be sent unencrypted"
        yield Conflict(key, because_of, why, f"use https://, or unset {because_of}")
    if _HAS_USER.fullmatch(url):
        why = "a request carries either a token or a user, not both"
        yield Conflict(key, because_of, why, f"remove the user from the URL, or unset {because_of}")


def _sources(settings: Settings) -> Iterator[Conflict]:
    source = settings.discovery.source
    cincinnati, graph = settings.cincinnati.base_url, settings.discovery.static_graph.url
    if source == "cincinnati" or (source == "auto" and cincinnati):
        yield from _base_url("cincinnati.base_url", cincinnati, "discovery.source", source, "v1/graph")
    if source == "static_graph" or (source == "auto" and graph):
        yield from _url("discovery.static_graph.url", graph, _HTTP_OR_FILE, "discovery.source", source)
    if settings.discovery.static_graph.trust:
        yield from _trust(source, graph)


def _trust(source: str, graph: str) -> Iterator[Conflict]:
    """A root of trust without a graph is an error, unless another source is named explicitly."""
    key = "discovery.static_graph.trust"
    if source == "auto" and not graph:
        why = "there is a root of trust, but no static graph that could be signed"
        yield Conflict(key, key, why, "set discovery.static_graph.url, or unset this key")
    if "?" in graph or "#" in graph:
        why = "the URL has a query or a fragment, which a signed graph cannot have"
        yield Conflict("discovery.static_graph.url", key, why, "remove everything from ? or # on")


def _base_url(key: str, url: str, selector: str, selected: str, path: str) -> Iterator[Conflict]:
    """As :func:`_url`, for a URL to which ``path`` is appended."""
    yield from _url(key, url, _HTTP, selector, selected)
    if "?" in url or "#" in url:
        why = f"the URL has a query or a fragment, so {path} cannot be appended"
        yield Conflict(key, selector, why, "remove everything from ? or # on")


def _url(key: str, url: str, schemes: tuple[str, ...], selector: str, selected: str) -> Iterator[Conflict]:
    if not url:
        remedy = f'set it to a URL such as "{schemes[0]}://updates.example.com/", or change {selector}'
        yield Conflict(key, selector, f'"{selected}" needs a URL, and this one is empty or missing', remedy)
    elif why := why_bad(url, schemes):
        yield Conflict(key, selector, f"{shown(without_password(url))} cannot be used: {why}", "correct the URL")
