"""The deadlines, and the retry policy, of the ostree engine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Durations in seconds; every wait has a limit.

    ``stage_secs`` bounds a whole staging, retries included: a large OS over a slow line takes hours, not days.
    ``silence_secs`` is how long a download may print nothing before it is killed and retried; libcurl itself gives up
    on a dead connection after 30 s. ``query_secs`` bounds commands that only read, ``change_secs`` those that write
    boot entries or check a tree out (rotating disks, a sysroot lock held by another ostree). ``latest_secs`` bounds the
    whole check for a newer release, a few kilobytes; the agent waits for it for less than two minutes. ``attempts`` is
    the number of consecutive failures after which a download is given up; one that fetched new objects counts as the
    first. ``frozen_pauses_secs`` are the pauses before a command that met a frozen file system is run again: libostree
    thaws its own within milliseconds, a snapshot of a virtual machine takes seconds, and 20 s in all are the limit.
    """

    stage_secs: float = 6 * 3600
    silence_secs: float = 300
    query_secs: float = 60
    latest_secs: float = 90
    change_secs: float = 600
    attempts: int = 6
    backoff_base_secs: float = 2
    backoff_cap_secs: float = 60
    frozen_pauses_secs: tuple[float, ...] = (0.1, 0.4, 1.5, 3, 5, 10)

    def backoff_secs(self, failures: int, jitter: float) -> float:
        """Return the pause after so many consecutive ``failures`` (1 and up); ``jitter`` is 0.0 to 1.0.

        Exponential back-off from the base up to the cap, of which a random part between half and all is taken, so that
        the hosts of a fleet do not all return to a recovered server at once.
        """
        whole_secs = min(self.backoff_cap_secs, self.backoff_base_secs * 2.0 ** (failures - 1))
        return whole_secs * (0.5 + jitter / 2)
