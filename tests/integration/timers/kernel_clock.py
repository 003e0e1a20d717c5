"""Set the machine's wall clock without a visible effect: by a nanosecond, and back."""

from __future__ import annotations

import ctypes
import os

ADJ_SETOFFSET = 0x0100
ADJ_NANO = 0x2000
ADJ_OFFSET_SINGLESHOT = 0x8001
ADJ_OFFSET_SS_READ = 0xA001
TIME_ERROR = 5


class Timex(ctypes.Structure):
    """struct timex of adjtimex(2), with its end left blank."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("before_status", ctypes.c_long * 3),
        ("status", ctypes.c_int),
        ("before_time", ctypes.c_long * 3),
        ("secs", ctypes.c_long),
        ("nanosecs", ctypes.c_long),
        ("rest", ctypes.c_char * 256),
    )


def is_kept() -> bool:
    """Whether something keeps the clock in step with the world; setting it would undo that for a while."""
    return _adjtimex(Timex()) != TIME_ERROR


def set_off(nanosecs: int) -> None:
    """Set the wall clock ``nanosecs`` from where it is; the kernel does it at once, and to the nanosecond."""
    secs, nanosecs = divmod(nanosecs, 1_000_000_000)
    _adjtimex(Timex(modes=ADJ_SETOFFSET | ADJ_NANO, secs=secs, nanosecs=nanosecs))


def slew(microsecs: int) -> None:
    """Let the wall clock run faster until it has gained ``microsecs``, as adjtime(3) does."""
    _adjtimex(Timex(modes=ADJ_OFFSET_SINGLESHOT, offset=microsecs))


def still_to_slew() -> int:
    """What is left to be gained, in microseconds."""
    timex = Timex(modes=ADJ_OFFSET_SS_READ)
    _adjtimex(timex)
    return int(timex.offset)


def _adjtimex(timex: Timex) -> int:
    state: int = _libc.adjtimex(ctypes.byref(timex))
    if state < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return state


_libc = ctypes.CDLL(None, use_errno=True)
