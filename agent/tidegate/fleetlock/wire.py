"""The part of :mod:`tidegate.net.wire` that is about locks."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from tidegate.fleetlock.account import LockAccount, LockBusy, LockGranted, LockReleased
from tidegate.fleetlock.protocol import ReleaseTag, UpdateParams, Verb
from tidegate.net.line import Json, WireError


@dataclass(frozen=True, slots=True)
class LockRequest:
    """Ask a FleetLock server for a slot, or give it back."""

    verb: Verb
    account: LockAccount
    update: UpdateParams | None = None

    @property
    def timeout_secs(self) -> float:
        """For the whole, from the worker's start to its answer."""
        return self.account.timeout_secs


@dataclass(frozen=True, slots=True)
class LockEvent:
    """The answer to a :class:`LockRequest` for a slot."""

    answer: LockGranted | LockBusy


@dataclass(frozen=True, slots=True)
class UnlockEvent:
    """The answer to a :class:`LockRequest` that gives one back."""

    answer: LockReleased


def lock_request_from_wire(verb: str, account: Json, update: Json) -> LockRequest:
    """The request that these fields of a line stand for.

    Raises:
        WireError: they stand for none.
    """
    return LockRequest(_verb(verb), _account_from_wire(account), _update_from_wire(update))


def lock_answer_to_wire(answer: LockGranted | LockBusy | LockReleased) -> dict[str, object]:
    """The fields of the line that tells ``answer``."""
    match answer:
        case LockGranted():
            return {"kind": "granted"}
        case LockBusy():
            return {"kind": "busy", **asdict(answer)}
        case LockReleased():
            return {"kind": "released", **asdict(answer)}


def _verb(value: str) -> Verb:
    try:
        return Verb(value)
    except ValueError as error:
        raise WireError(f"nothing that a lock server is asked is called {value!r}") from error


def _account_from_wire(fields: Json) -> LockAccount:
    match fields:
        case {
            "base_url": str(base_url),
            "group": str(group),
            "id": str(id_),
            "timeout_secs": int() | float() as timeout_secs,
            "ca_file": str() | None as ca_file,
            "client_cert_file": str() | None as cert_file,
            "client_key_file": str() | None as key_file,
            "token_file": str() | None as token_file,
        }:
            return LockAccount(base_url, group, id_, timeout_secs, ca_file, cert_file, key_file, token_file)
        case _:
            raise WireError("not an account of a lock server")


def _update_from_wire(fields: Json) -> UpdateParams | None:
    match fields:
        case None:
            return None
        case {"agent": str() | None as agent, "boot_id": str() | None as boot_id, "current": current, "target": target}:
            return UpdateParams(agent, boot_id, _tag_from_wire(current), _tag_from_wire(target))
        case _:
            raise WireError("not what a lock server is told of an update")


def _tag_from_wire(fields: Json) -> ReleaseTag | None:
    match fields:
        case None:
            return None
        case {"version": str(version), "digest": str(digest)}:
            return ReleaseTag(version, digest)
        case _:
            raise WireError("not a release's tag")
