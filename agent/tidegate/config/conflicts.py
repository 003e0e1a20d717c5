"""Conflicts between keys that are valid one by one, and the checks of URLs that depend on another key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tidegate.config.problems import shown
from tidegate.config.urls import why_bad
from tidegate.printable import without_password

_HTTP = ("http", "https")


@dataclass(frozen=True, slots=True)
class Conflict:
    """``key`` is not what another key, ``because_of``, needs. Reported at ``key``, or at the other if that is unset."""

    key: str
    because_of: str
    message: str
    remedy: str


def base_url_conflicts(key: str, url: str, selector: str, selected: str, path: str) -> Iterator[Conflict]:
    """As :func:`url_conflicts`, for an HTTP URL to which ``path`` is appended."""
    yield from url_conflicts(key, url, _HTTP, selector, selected)
    if "?" in url or "#" in url:
        why = f"the URL has a query or a fragment, so {path} cannot be appended"
        yield Conflict(key, selector, why, "remove everything from ? or # on")


def url_conflicts(key: str, url: str, schemes: tuple[str, ...], selector: str, selected: str) -> Iterator[Conflict]:
    """The conflict of the URL in ``key``, which ``selector`` needs because it is set to ``selected``."""
    if not url:
        remedy = f'set it to a URL such as "{schemes[0]}://updates.example.com/", or change {selector}'
        yield Conflict(key, selector, f'"{selected}" needs a URL, and this one is empty or missing', remedy)
    elif why := why_bad(url, schemes):
        yield Conflict(key, selector, f"{shown(without_password(url))} cannot be used: {why}", "correct the URL")
