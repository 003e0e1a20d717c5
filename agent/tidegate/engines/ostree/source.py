"""Where a host's releases come from: the origin of the deployment that it runs. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tidegate.engines.ostree.status import Listed
from tidegate.errors import ErrorKind, TidegateError

_PAYLOAD = re.compile(r"[0-9a-f]{64}")
# What ostree allows in the names of remotes and refs; nothing that could be taken for an option.
_REFSPEC = re.compile(r"(?P<remote>\w[\w.-]*):(?P<ref>\w[\w./-]*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Source:
    """A branch of a configured remote."""

    remote: str
    ref: str

    @property
    def refspec(self) -> str:
        """As ostree writes it."""
        return f"{self.remote}:{self.ref}"

    @property
    def origin_text(self) -> str:
        """The origin of a deployment that follows this branch.

        Written afresh for each staging: an origin made by ``deploy CHECKSUM`` would pin the checksum, and later
        updates by anybody's hand would find no branch to follow.
        """
        return f"[origin]\nrefspec={self.refspec}\n"


def source_of(booted: Listed) -> Source:
    """The branch that the booted deployment follows.

    Raises:
        TidegateError: ``engine.unsupported-host`` when its origin names no branch of a remote.
    """
    match = _REFSPEC.fullmatch(booted.refspec or "")
    if match is None:
        raise TidegateError(
            ErrorKind.ENGINE_UNSUPPORTED_HOST,
            f"the booted deployment {booted.version} has the origin {booted.refspec or 'none'},"
            " which names no branch of a remote",
            "name one: `ostree admin set-origin REMOTE URL REF`",
        )
    return Source(match["remote"], match["ref"])


def stream_of(booted: Listed) -> str | None:
    """The stream that the booted deployment follows: the last part of its ref; None where its origin names none."""
    match = _REFSPEC.fullmatch(booted.refspec or "")
    return None if match is None else match["ref"].rpartition("/")[2] or None


def checked_payload(payload: str) -> str:
    """The payload if it is a full checksum.

    Raises:
        TidegateError: ``engine.bad-argument`` for anything else.
    """
    if not _PAYLOAD.fullmatch(payload):
        raise TidegateError(
            ErrorKind.ENGINE_BAD_ARGUMENT,
            f"{payload[:100]!r} is not an ostree checksum (64 lower-case hexadecimal digits)",
            "check what the source of updates gives as payload",
        )
    return payload
