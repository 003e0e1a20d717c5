"""A process that sits at a :class:`tidegate.system.alarm.SystemAlarm` and prints what it hears, a line each.

    listener.py IN_SECS [CONFINEMENT...]

The deadline is ``IN_SECS`` from now on the boot clock; the process ends when it has come. A confinement is taken on
before anything of Tidegate is loaded: ``no-timerfd``, what a strict seccomp profile does, or ``no-new-code``, what
``MemoryDenyWriteExecute=yes`` does.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import struct
import sys

PR_SET_NO_NEW_PRIVS = 38
PR_SET_SECCOMP = 22
PR_SET_MDWE = 65
MDWE_REFUSE_EXEC_GAIN = 1
SECCOMP_MODE_FILTER = 2
SYS_TIMERFD_CREATE = {"x86_64": 283, "aarch64": 85}

EX_UNAVAILABLE = 69


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


def refuse_timerfd() -> bool:
    """Let timerfd_create fail with EPERM; whether that could be done."""
    call = SYS_TIMERFD_CREATE.get(os.uname().machine)
    if call is None:
        return False
    code = b"".join(
        struct.pack("HBBI", *instruction)
        for instruction in (
            (0x20, 0, 0, 0),  # load the number of the call
            (0x15, 0, 1, call),  # another one: skip the next line
            (0x06, 0, 0, 0x0005_0001),  # SECCOMP_RET_ERRNO, EPERM
            (0x06, 0, 0, 0x7FFF_0000),  # SECCOMP_RET_ALLOW
        )
    )
    libc = ctypes.CDLL(None)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    program = _Program(len(code) // 8, code)
    return bool(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) == 0)


def refuse_new_code() -> bool:
    """Let no memory become executable, in what is executed from here either; whether the kernel (6.3) can do it."""
    return bool(ctypes.CDLL(None).prctl(PR_SET_MDWE, MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) == 0)


CONFINEMENTS = {"no-timerfd": refuse_timerfd, "no-new-code": refuse_new_code}


async def _listen(in_secs: float) -> None:
    from tidegate.clock import SystemClock  # noqa: PLC0415 - the confinement comes first
    from tidegate.system.alarm import SystemAlarm  # noqa: PLC0415 - the confinement comes first

    clock, due = SystemClock(), asyncio.Event()
    with SystemAlarm(clock).listen(due.set, lambda: print("clock set", flush=True)) as wake_at:
        deadline = clock.now().boot_secs + in_secs
        wake_at(deadline)
        print("listening", flush=True)
        await due.wait()
        print(f"due {clock.now().boot_secs - deadline:.6f}", flush=True)


def main(in_secs: float, confinements: list[str]) -> int:
    """Confine, execute anew, listen."""
    if confinements:
        if not all(CONFINEMENTS[name]() for name in confinements):
            return EX_UNAVAILABLE
        os.execv(sys.executable, [sys.executable, __file__, str(in_secs)])
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stdout)
    asyncio.run(_listen(in_secs))
    return 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
