"""Validation of the arguments of ``org.tidegate.Agent1``: gates to override, reasons, releases."""

from __future__ import annotations

import pwd
from collections.abc import Mapping, Sequence

from tidegate.errors import ErrorKind, TidegateError
from tidegate.printable import one_line

MAX_REASON_CHARS = 500
"""A reason is a sentence; it is kept in the history and shown in `status`."""

MAX_OVERRIDES = 32
"""Above the number of gates."""

MAX_NAME_CHARS = 64
"""Of an unknown gate's name in the error that quotes it."""

MAX_RELEASE_CHARS = 512
"""Of a version or a payload; the longest payloads are pull specifications of images."""


def checked_overrides(names: Sequence[str], overridable: Mapping[str, bool]) -> frozenset[str]:
    """Return the gates to override; ``overridable`` says of each gate in force whether it may be.

    Raises:
        TidegateError: ``agent.bad-request`` for a gate that is not in force: the caller is mistaken about the
            configuration; ``reboot.refused`` for one that cannot be overridden.
    """
    if len(names) > MAX_OVERRIDES:
        message = f"{len(names)} gates to override, but there are fewer"
        raise TidegateError(ErrorKind.AGENT_BAD_REQUEST, message, "see tidegate explain")
    for name in names:
        if not overridable.get(name, False):
            raise _not_overridable(name, overridable)
    return frozenset(names)


def _not_overridable(name: str, overridable: Mapping[str, bool]) -> TidegateError:
    known = ", ".join(sorted(gate for gate, may in overridable.items() if may)) or "none"
    remedy = f"these can be: {known}; see tidegate explain"
    gate = f"the gate {one_line(name, MAX_NAME_CHARS) or '(no name)'}"
    if name in overridable:
        return TidegateError(ErrorKind.REBOOT_REFUSED, f"{gate} cannot be overridden", remedy)
    return TidegateError(ErrorKind.AGENT_BAD_REQUEST, f"{gate} is not in force", remedy)


def overriding(gates: frozenset[str]) -> str:
    """Return the names of overridden gates as an addition to a reason; empty where there are none."""
    return f"overriding {', '.join(sorted(gates))}" if gates else ""


def name_of(uid: int) -> str:
    """Return the name of the user ``uid``, or the number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def reason_in(text: str) -> str:
    """Return a person's reason as one printable line of bounded length, for logs and ``status``.

    Raises:
        TidegateError: ``agent.bad-request``: it is empty.
    """
    words = one_line(text, MAX_REASON_CHARS)
    if not words:
        raise TidegateError(ErrorKind.AGENT_BAD_REQUEST, "the reason is empty", "give one: --reason TEXT")
    return words


def release_in(text: str) -> str:
    """Return a version or a payload unchanged, since it is compared.

    Raises:
        TidegateError: ``agent.bad-request``: it is empty, too long or not printable.
    """
    if text and one_line(text, MAX_RELEASE_CHARS) == text:
        return text
    shown = one_line(text, MAX_NAME_CHARS) or "(nothing)"
    message = f"no release is called {shown}"
    raise TidegateError(ErrorKind.AGENT_BAD_REQUEST, message, "tidegate status has the versions and payloads")
