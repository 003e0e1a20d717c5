"""Errors of publishing: refused by a rule, or failed. Neither leaves hosts with an inconsistent state."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from tidegate.errors import ErrorKind, TidegateError

_SHOWN_VERSIONS = 5


def refused(what: str, remedy: str) -> TidegateError:
    """The error ``publish.refused``: a rule does not allow it."""
    return TidegateError(ErrorKind.PUBLISH_REFUSED, what, remedy)


def failed(what: str, remedy: str) -> TidegateError:
    """The error ``publish.failed``: a step did not succeed."""
    return TidegateError(ErrorKind.PUBLISH_FAILED, what, remedy)


def unknown_version(version: str, known: Iterable[str]) -> TidegateError:
    """The error for a ``version`` that is not in the graph; its remedy names similar ones."""
    versions = list(known)
    near = get_close_matches(version, versions, n=1) or versions[-_SHOWN_VERSIONS:]
    remedy = f"the graph has {', '.join(near)}" if near else "the graph is empty: publish a release first"
    return refused(f"there is no release {version} in the graph", remedy)
