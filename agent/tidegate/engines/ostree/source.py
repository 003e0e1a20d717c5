"""The source of a host's releases: the origin of the booted deployment. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tidegate.engines.ostree.status import Listed
from tidegate.errors import ErrorKind, TidegateError

_PAYLOAD = re.compile(r"[0-9a-f]{64}")
# The names of remotes and refs that ostree allows; none can be taken for an option.
_REFSPEC = re.compile(r"(?P<remote>\w[\w.-]*):(?P<ref>\w[\w./-]*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Source:
    """A branch of a configured remote."""

    remote: str
    ref: str

    @property
    def refspec(self) -> str:
        """``REMOTE:REF``."""
        return f"{self.remote}:{self.ref}"

    @property
    def origin_text(self) -> str:
        """The origin file of a deployment that follows this branch.

        Each staging gets one, since ``deploy CHECKSUM`` would write an origin that is pinned to the checksum, and
        updates by other tools would have no branch to follow.
        """
        return f"[origin]\nrefspec={self.refspec}\n"


def source_of(booted: Listed) -> Source:
    """Return the branch that the booted deployment follows.

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
    """Return the stream of the booted deployment, the last part of its ref; None where its origin names no branch."""
    match = _REFSPEC.fullmatch(booted.refspec or "")
    return None if match is None else match["ref"].rpartition("/")[2] or None


def checked_payload(payload: str) -> str:
    """Return ``payload`` if it is a full checksum.

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
