"""What keys must say together: a selected strategy or source needs what it works with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tidegate.config.problems import shown
from tidegate.config.settings import Settings
from tidegate.config.urls import why_bad

_HTTP = ("http", "https")
_HTTP_OR_FILE = (*_HTTP, "file")


@dataclass(frozen=True, slots=True)
class Conflict:
    """``key`` does not do what ``because_of``, another key, needs. Where ``key`` is not set, the other is to blame."""

    key: str
    because_of: str
    message: str
    remedy: str


def conflicts(settings: Settings) -> Iterator[Conflict]:
    """Everything that is wrong between keys of which each is right."""
    strategies = settings.updates.strategy
    if "fleet_lock" in strategies:
        url = settings.fleet_lock.base_url
        yield from _url("updates.fleet_lock.base_url", url, _HTTP, "updates.strategy", "fleet_lock")
    if "periodic" in strategies and not settings.periodic.windows:
        yield Conflict(
            "updates.periodic.window",
            "updates.strategy",
            'the strategy "periodic" has no windows, so the host would never reboot',
            "add a [[updates.periodic.window]] with days, start_time and length_minutes",
        )
    yield from _sources(settings)


def _sources(settings: Settings) -> Iterator[Conflict]:
    source = settings.discovery.source
    cincinnati, graph = settings.cincinnati.base_url, settings.discovery.static_graph.url
    if source == "cincinnati" or (source == "auto" and cincinnati):
        yield from _url("cincinnati.base_url", cincinnati, _HTTP, "discovery.source", source)
    if source == "static_graph" or (source == "auto" and graph):
        yield from _url("discovery.static_graph.url", graph, _HTTP_OR_FILE, "discovery.source", source)


def _url(key: str, url: str, schemes: tuple[str, ...], selector: str, selected: str) -> Iterator[Conflict]:
    if not url:
        remedy = f'set it to a URL such as "{schemes[0]}://updates.example.com/", or change {selector}'
        yield Conflict(key, selector, f'"{selected}" needs a URL, and it is empty or missing', remedy)
    elif why := why_bad(url, schemes):
        yield Conflict(key, selector, f"{shown(url)} is no URL that can be used: {why}", "correct the URL")
