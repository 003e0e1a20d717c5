"""How long the ostree engine waits for what, and how often it tries."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Every wait has one. Durations in seconds.

    ``stage_secs`` bounds a whole staging, retries included: a large OS over a slow line takes hours, not days.
    ``silence_secs`` is how long a download may show no change before it is killed and tried again; libcurl gives up
    after 30 s on a dead connection by itself. ``query_secs`` bounds what only reads, ``change_secs`` what writes
    boot entries or checks a tree out (rotating disks, a sysroot lock that another ostree holds). ``latest_secs`` bounds
    the whole look for a newer release: some kilobytes, and of them the agent waits for no more than two minutes.
    ``attempts`` is how many failures in a row are taken; a failure that brought new objects home counts as the first.
    ``frozen_pauses_secs`` are the pauses before a command is run again that met a frozen file system: libostree thaws
    its own within milliseconds, a snapshot of a virtual machine takes seconds, and 20 s are as long as one may take.
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
        """How long to wait after that many ``failures`` in a row (1 and up); ``jitter`` is 0.0 to 1.0.

        Doubling from the base up to the cap, and of that a random part between half and all, so that a fleet whose
        server came back does not return in one moment.
        """
        whole_secs = min(self.backoff_cap_secs, self.backoff_base_secs * 2.0 ** (failures - 1))
        return whole_secs * (0.5 + jitter / 2)
