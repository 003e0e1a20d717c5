"""timerfd(2): kernel timers on any clock, as file descriptors for an event loop.

Python has them from 3.13 on. Before that the two calls go through ctypes, which costs 0.4 MiB and is imported for
nothing else.
"""

from __future__ import annotations

import errno
import os
import sys

FAR_NS = 2**62
"""146 years, on the wall clock the year 2116: beyond any deadline, and without overflow in the kernel."""

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
    """One timer, non-blocking and close-on-exec."""

    def __init__(self, clock_id: int) -> None:
        """Create a timer that is not armed.

        Raises:
            OSError: the kernel does not support timers on this clock, or a sandbox forbids them.
        """
        self.descriptor = _create(clock_id)

    def arm(self, at_ns: int) -> None:
        """Let it expire once its clock reaches ``at_ns``, at once where that is past; replaces the last setting."""
        _set(self.descriptor, _ABSTIME, max(1, min(at_ns, FAR_NS)))  # zero would disarm

    def disarm(self) -> None:
        """Let it never expire."""
        _set(self.descriptor, _ABSTIME, 0)

    def arm_on_set(self) -> None:
        """Let it expire whenever its clock, CLOCK_REALTIME, is set.

        Slewing does not set the clock; a resume from suspend does. The timer stays armed: arming it again could only
        miss a set in between.
        """
        _set(self.descriptor, _ABSTIME | _CANCEL_ON_SET, FAR_NS)

    def has_expired(self) -> bool:
        """Whether it has expired since it was armed or since the last call."""
        try:
            os.read(self.descriptor, _EXPIRATIONS_BYTES)
        except BlockingIOError:  # it was armed again after it had expired
            return False
        except OSError as err:
            if err.errno != errno.ECANCELED:
                raise
        return True

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self.descriptor)
