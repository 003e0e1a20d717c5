"""Messages of the jobs of lock servers between agent and net-worker: see :mod:`tidegate.net.wire`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar, Self

from tidegate.fleetlock.account import LockAccount, LockBusy, LockGranted, LockReleased
from tidegate.fleetlock.protocol import ReleaseTag, UpdateParams, Verb
from tidegate.net.wire import Json, WireError

PROBE_SECS = 5.0
"""A server that takes longer is probed at the next request: a probe must not delay the release of a slot for long."""


@dataclass(frozen=True, slots=True)
class LockRequest:
    """Request a slot of a FleetLock server, or release it."""

    verb: Verb
    account: LockAccount
    update: UpdateParams | None = None
    job: ClassVar[str] = "tidegate.fleetlock.request"

    @property
    def timeout_secs(self) -> float:
        """The total deadline, from the worker's start to its answer."""
        return self.account.timeout_secs

    def fields(self) -> Mapping[str, object]:
        """The request as JSON."""
        return asdict(self)

    @classmethod
    def read(cls, fields: Json) -> Self:
        """The inverse of :meth:`fields`.

        Raises:
            WireError: the fields are not those of such a request.
        """
        match fields:
            case {"verb": str(verb), "account": account, "update": update}:
                return cls(_verb(verb), _account_from_wire(account), _update_from_wire(update))
            case _:
                raise WireError("not a request to a lock server")


@dataclass(frozen=True, slots=True)
class LockEvent:
    """The answer to a :class:`LockRequest` for a slot."""

    answer: LockGranted | LockBusy

    def fields(self) -> Mapping[str, object]:
        """The answer as JSON."""
        match self.answer:
            case LockGranted():
                return {"kind": "granted"}
            case LockBusy() as busy:
                return {"kind": "busy", **asdict(busy)}

    @classmethod
    def read(cls, fields: Json) -> Self:
        """The inverse of :meth:`fields`.

        Raises:
            WireError: the fields are not those of such an answer.
        """
        match fields:
            case {"kind": "granted"}:
                return cls(LockGranted())
            case {
                "kind": "busy",
                "reason": str(reason),
                "retry_after_secs": int() | float() | None as retry_after_secs,
            }:
                return cls(LockBusy(reason, retry_after_secs))
            case _:
                raise WireError("neither a grant nor a denial")


@dataclass(frozen=True, slots=True)
class UnlockEvent:
    """The answer to a :class:`LockRequest` that releases a slot."""

    answer: LockReleased

    def fields(self) -> Mapping[str, object]:
        """The answer as JSON."""
        return {"kind": "released", **asdict(self.answer)}

    @classmethod
    def read(cls, fields: Json) -> Self:
        """The inverse of :meth:`fields`.

        Raises:
            WireError: the fields are not those of such an answer.
        """
        match fields:
            case {"kind": "released", "detail": str(detail)}:
                return cls(LockReleased(detail))
            case _:
                raise WireError("not the answer to an unlock")


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """Probe the server of an account."""

    account: LockAccount
    job: ClassVar[str] = "tidegate.fleetlock.probe"

    @property
    def timeout_secs(self) -> float:
        """The total deadline, from the worker's start to its answer."""
        return min(PROBE_SECS, self.account.timeout_secs)

    def fields(self) -> Mapping[str, object]:
        """The request as JSON."""
        return {"account": asdict(self.account)}

    @classmethod
    def read(cls, fields: Json) -> Self:
        """The inverse of :meth:`fields`.

        Raises:
            WireError: the fields are not those of such a request.
        """
        match fields:
            case {"account": account}:
                return cls(_account_from_wire(account))
            case _:
                raise WireError("not a probe of a lock server")


@dataclass(frozen=True, slots=True)
class ProbeEvent:
    """A server's answer to the probe: its status, and whether it shows the extension ``rollout-v1``."""

    status: int
    extended: bool

    @property
    def refuses(self) -> bool:
        """Whether it answered as lock servers do."""
        return 400 <= self.status < 500

    @property
    def accepts(self) -> bool:
        """Whether it said yes, as no lock server does."""
        return 200 <= self.status < 300

    def fields(self) -> Mapping[str, object]:
        """The answer as JSON."""
        return {"kind": "probed", **asdict(self)}

    @classmethod
    def read(cls, fields: Json) -> Self:
        """The inverse of :meth:`fields`.

        Raises:
            WireError: the fields are not those of such an answer.
        """
        match fields:
            case {"kind": "probed", "status": int(status), "extended": bool(extended)}:
                return cls(status, extended)
            case _:
                raise WireError("not the answer to a probe")


def no_lock_server(account: LockAccount, found: ProbeEvent) -> str:
    """A sentence about a server that said yes to the probe."""
    return (
        f"{account.server}: says yes ({found.status}) to a steady-state without the protocol's header and without a "
        "body, which every lock server refuses: this is none"
    )


def _verb(value: str) -> Verb:
    try:
        return Verb(value)
    except ValueError as error:
        raise WireError(f"{value!r} is not a request of FleetLock") from error


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
        case {
            "agent": str() | None as agent,
            "boot_id": str() | None as boot_id,
            "current": current,
            "target": target,
            **others,
        }:
            tags, uptime_secs = (_tag_from_wire(current), _tag_from_wire(target)), others.get("uptime_secs")
            if not isinstance(uptime_secs, int | None):
                raise WireError("not the age of a boot")
            return UpdateParams(agent, boot_id, *tags, uptime_secs)
        case _:
            raise WireError("not the parameters of an update")


def _tag_from_wire(fields: Json) -> ReleaseTag | None:
    match fields:
        case None:
            return None
        case {"version": str(version), "digest": str(digest)}:
            return ReleaseTag(version, digest)
        case _:
            raise WireError("not a release's tag")
