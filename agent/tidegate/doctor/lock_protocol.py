"""Area ``lock``: whether a lock server answers at the configured address. A probe is no lock request: see
:mod:`tidegate.fleetlock.probe`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus

from tidegate.doctor.base import Area, Finding
from tidegate.errors import TidegateError
from tidegate.fleetlock.account import LockAccount
from tidegate.fleetlock.wire import ProbeEvent, ProbeRequest, no_lock_server
from tidegate.net.client import NetClient
from tidegate.net.urls import without_last_segment
from tidegate.printable import without_password

AREA = Area("lock")

_CORRECT = "correct updates.fleet_lock.base_url: tidegate config show --origin"


@dataclass(frozen=True, slots=True)
class Probed:
    """The answer to a probe, or why there is none; and the one at ``shorter``, where an address without the last
    segment of its path answers as a lock server and the address itself does not."""

    answer: ProbeEvent | str
    shorter: str | None = None


async def examine(account: LockAccount) -> Sequence[Finding]:
    """Probe the server of ``account``, which can be reached."""
    return [*judge(account, await _probed(account))]


async def _probed(account: LockAccount) -> Probed:
    answer = await _probe(account)
    shorter = without_last_segment(account.base_url)
    if shorter is None or isinstance(answer, str) or answer.status != HTTPStatus.NOT_FOUND:
        return Probed(answer)
    other = await _probe(replace(account, base_url=shorter))
    found = isinstance(other, ProbeEvent) and other.refuses and other.status != HTTPStatus.NOT_FOUND
    return Probed(answer, shorter if found else None)


async def _probe(account: LockAccount) -> ProbeEvent | str:
    try:
        return await NetClient().run(ProbeRequest(account), ProbeEvent)
    except TidegateError as error:
        return error.message


def judge(account: LockAccount, probed: Probed) -> Iterator[Finding]:
    """Evaluate the answer to the probe."""
    match probed.answer:
        case str(why):
            yield AREA.unknown("protocol", f"the lock server did not answer a probe: {why}", "tidegate explain")
        case ProbeEvent(accepts=True) as answer:
            yield _accepting(account, answer)
        case ProbeEvent(status=HTTPStatus.NOT_FOUND):
            yield _missing(account, probed.shorter)
        case ProbeEvent(refuses=True) as answer:
            yield AREA.ok("protocol", "the server refuses what a lock server refuses", f"status {answer.status}")
            yield _clones(answer)
        case ProbeEvent(status=status):
            text = f"the lock server answers {status} to a request that lock servers refuse with a 4xx"
            yield AREA.warning("protocol", text, "check the lock server and its log")


def _accepting(account: LockAccount, answer: ProbeEvent) -> Finding:
    if account.base_url.lower().startswith("http:"):
        return AREA.problem("protocol", no_lock_server(account, answer), _CORRECT)
    return AREA.warning("protocol", no_lock_server(account, answer), _CORRECT)


def _missing(account: LockAccount, shorter: str | None) -> Finding:
    text = f"there is no lock server at {account.server}"
    if shorter is None:
        return AREA.problem("protocol", text, _CORRECT, "status 404")
    shown = without_password(shorter)
    text += f", but there is one at {shown}: Zincati drops the last segment of a path without a final slash"
    return AREA.problem("protocol", text, f'set updates.fleet_lock.base_url = "{shown}"', "status 404")


def _clones(answer: ProbeEvent) -> Finding:
    if answer.extended:
        return AREA.ok("clones", "the lock server tells hosts apart that share an id")
    text = (
        "the lock server does not tell hosts apart that share an id: where a machine id was cloned, the agent's start "
        "on one host frees the slot of another"
    )
    return AREA.ok("clones", text)
