"""``[[health.http]]``: a server answers a GET request."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidegate.config.keys import key, required
from tidegate.config.kinds.http import PlainUrl, Statuses, StatusRange
from tidegate.config.kinds.names import AbsoluteFile
from tidegate.config.kinds.scalar import Integer, Text
from tidegate.health.spec import MAX_TIMEOUT_SECS, NAME, NAME_DOC, WEIGHT, WEIGHT_DOC, CheckSpec

if TYPE_CHECKING:
    from tidegate.health.check import Check
    from tidegate.health.select import HealthSources

NO_ERROR = Statuses(200, 399)

_LINE = re.compile(r"[^\x00-\x1f\x7f]{1,1000}")


@dataclass(frozen=True, slots=True)
class HttpCheck:
    """``[[health.http]]``: a server answers a GET request."""

    name: str = required(NAME, NAME_DOC)
    url: str = required(
        PlainUrl(("http", "https")), "The URL to get. Redirects are not followed, and count as the answer."
    )
    status: Statuses = key(NO_ERROR, StatusRange(), "The status, or range of statuses, that counts as success.")  # noqa: RUF009 - the default is frozen
    contains: str | None = key(
        None, Text(_LINE, "1 to 1000 printable characters"), "A text that the first MiB of the answer must contain."
    )
    timeout_secs: int = key(10, Integer(1, MAX_TIMEOUT_SECS), "Seconds for the whole request.")
    ca_file: str | None = key(
        None, AbsoluteFile(), "Certificate authorities to trust in place of the system's, in PEM form."
    )
    weight: str = key("advisory", WEIGHT, WEIGHT_DOC)


def _build(checks: Sequence[HttpCheck], sources: HealthSources) -> Iterator[Check]:
    import asyncio  # noqa: PLC0415 - commands that only read the keys above run no event loop

    from tidegate.health.http import MAX_WORKERS, HttpAnswers  # noqa: PLC0415 - see CheckSpec

    slots = asyncio.Semaphore(MAX_WORKERS)
    yield from (HttpAnswers(check, sources.net, slots) for check in checks)


SPEC = CheckSpec("http", "Servers that must answer.", HttpCheck, _build, "http check", rank=2)
