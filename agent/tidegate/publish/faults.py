"""How publishing fails: what a rule refuses, and what could not be done. Nothing that hosts use has changed then."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from tidegate.errors import ErrorKind, TidegateError

_SHOWN_VERSIONS = 5


def refused(what: str, remedy: str) -> TidegateError:
    """A rule says no: ``publish.refused``."""
    return TidegateError(ErrorKind.PUBLISH_REFUSED, what, remedy)


def failed(what: str, remedy: str) -> TidegateError:
    """Something went wrong on the way: ``publish.failed``."""
    return TidegateError(ErrorKind.PUBLISH_FAILED, what, remedy)


def unknown_version(version: str, known: Iterable[str]) -> TidegateError:
    """No release of the graph is called ``version``."""
    versions = list(known)
    near = get_close_matches(version, versions, n=1) or versions[-_SHOWN_VERSIONS:]
    remedy = f"the graph has {', '.join(near)}" if near else "the graph is empty: publish a release first"
    return refused(f"there is no release {version} in the graph", remedy)
