"""timerfd(2): a timer that the kernel keeps on any of its clocks, waited for like other input.

Python has it from 3.13 on. Before that the two calls go through ctypes, which costs 0.4 MiB and is loaded for nothing
else.
"""

from __future__ import annotations

import errno
import os
import sys

FAR_NS = 2**62
"""146 years, on the wall clock 2116: later than anybody waits, and with room for the kernel to add to it."""

_ABSTIME = 1
_CANCEL_ON_SET = 2
_EXPIRATIONS_BYTES = 8

if sys.version_info >= (3, 13):

    def _create(clock_id: int) -> int:
        return os.timerfd_create(clock_id, flags=os.TFD_NONBLOCK | os.TFD_CLOEXEC)

    def _set(descriptor: int, flags: int, at_ns: int) -> None:
        os.timerfd_settime_ns(descriptor, flags=flags, initial=at_ns)

else:
    import ctypes

    _libc = ctypes.CDLL(None, use_errno=True)
    _MAX_SECS = 2 ** (8 * ctypes.sizeof(ctypes.c_long) - 1) - 1
    _Itimerspec = ctypes.c_long * 4  # interval and value, seconds and nanoseconds of each

    def _create(clock_id: int) -> int:
        return _checked(_libc.timerfd_create(clock_id, os.O_NONBLOCK | os.O_CLOEXEC))

    def _set(descriptor: int, flags: int, at_ns: int) -> None:
        secs, nanosecs = divmod(at_ns, 1_000_000_000)
        value = _Itimerspec(0, 0, min(secs, _MAX_SECS), nanosecs)
        _checked(_libc.timerfd_settime(descriptor, flags, value, None))

    def _checked(result: int) -> int:
        if result < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return result


class TimerFd:
    """One timer. Open until it is closed; never blocks; children do not inherit it."""

    def __init__(self, clock_id: int) -> None:
        """Create it, not armed.

        Raises:
            OSError: the kernel has no timers on this clock, or a sandbox forbids them.
        """
        self.descriptor = _create(clock_id)

    def arm(self, at_ns: int) -> None:
        """Let it go off once its clock shows ``at_ns`` or later: at once where that is past. Forgets the last time."""
        _set(self.descriptor, _ABSTIME, max(1, min(at_ns, FAR_NS)))  # zero would disarm

    def disarm(self) -> None:
        """Let it not go off."""
        _set(self.descriptor, _ABSTIME, 0)

    def arm_on_set(self) -> None:
        """Let it go off whenever its clock, CLOCK_REALTIME, is set. What slews the clock does not set it; waking from
        suspend does. It stays armed: the kernel goes on watching, and to arm it anew could only lose a set between.
        """
        _set(self.descriptor, _ABSTIME | _CANCEL_ON_SET, FAR_NS)

    def went_off(self) -> bool:
        """Whether it has gone off since it was armed or last asked."""
        try:
            os.read(self.descriptor, _EXPIRATIONS_BYTES)
        except BlockingIOError:  # armed anew since it went off
            return False
        except OSError as err:
            if err.errno != errno.ECANCELED:
                raise
        return True

    def close(self) -> None:
        """Give it back to the kernel."""
        os.close(self.descriptor)
