"""What people send along with a request, as it may be acted on, logged and shown."""

from __future__ import annotations

import pwd
from collections.abc import Mapping, Sequence

from tidegate.errors import ErrorKind, TidegateError
from tidegate.printable import one_line

MAX_REASON_CHARS = 500
"""A reason is a sentence; it is kept in the history and shown in `status`."""

MAX_OVERRIDES = 32
"""There are not as many gates."""

MAX_NAME_CHARS = 64
"""Of a gate's name that is not one, in the answer to whoever asked for it."""

MAX_RELEASE_CHARS = 512
"""Of a version or a payload; the longest payloads are pull specifications of images."""


def checked_overrides(names: Sequence[str], overridable: Mapping[str, bool]) -> frozenset[str]:
    """The gates that are to be passed over.

    Raises:
        TidegateError: one of them is not in force, or nobody may pass it over. Whoever asks for it believes otherwise.
    """
    if len(names) > MAX_OVERRIDES:
        message = f"{len(names)} gates to be passed over, and there are not as many"
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
        return TidegateError(ErrorKind.REBOOT_REFUSED, f"{gate} cannot be passed over", remedy)
    return TidegateError(ErrorKind.AGENT_BAD_REQUEST, f"{gate} is not in force", remedy)


def passing_over(gates: frozenset[str]) -> str:
    """Which gates are passed over, as an addition to a reason; nothing where none is."""
    return f"passing over {', '.join(sorted(gates))}" if gates else ""


def name_of(uid: int) -> str:
    """The user's name, or the number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def reason_in(text: str) -> str:
    """A person's reason as it may be logged and shown: one line, printable, not endless.

    Raises:
        TidegateError: nothing is left of it.
    """
    words = one_line(text, MAX_REASON_CHARS)
    if not words:
        raise TidegateError(ErrorKind.AGENT_BAD_REQUEST, "the reason is empty", "say why: --reason TEXT")
    return words


def release_in(text: str) -> str:
    """A version or a payload. It is compared, so nothing of it may be left out.

    Raises:
        TidegateError: no release is called that.
    """
    if text and one_line(text, MAX_RELEASE_CHARS) == text:
        return text
    shown = one_line(text, MAX_NAME_CHARS) or "(nothing)"
    message = f"no release is called {shown}"
    raise TidegateError(ErrorKind.AGENT_BAD_REQUEST, message, "tidegate status has the versions and payloads")
