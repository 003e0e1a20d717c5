"""A sysroot at one moment, with the roles that the agent thinks in. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tidegate.engines.base import Deployment, StagedDeployment
from tidegate.engines.ostree.status import Listed
from tidegate.errors import ErrorKind, TidegateError


@dataclass(frozen=True, slots=True)
class Survey:
    """``entries`` have a boot entry, the default first, the booted one among them; ``staged`` has none yet."""

    booted: Listed
    staged: StagedDeployment | None
    entries: tuple[Listed, ...]

    @property
    def default(self) -> Listed:
        """What the boot loader takes."""
        return self.entries[0]

    @property
    def next_boot(self) -> str:
        """The payload that a reboot now would lead to."""
        return self.staged.payload if self.staged and not self.staged.locked else self.default.checksum

    @property
    def unused(self) -> tuple[Listed, ...]:
        """Entries of the same OS that are neither booted nor pinned, in boot order."""
        return tuple(
            entry
            for entry in self.entries
            if entry.stateroot == self.booted.stateroot
            and not entry.pinned
            and entry.deployment_name != self.booted.deployment_name
        )

    @property
    def earlier(self) -> Listed | None:
        """The release that was booted before the booted one: the next entry of the same OS with other content."""
        position = self.entries.index(self.booted)
        return next(
            (
                entry
                for entry in self.entries[position + 1 :]
                if entry.stateroot == self.booted.stateroot and entry.checksum != self.booted.checksum
            ),
            None,
        )


def survey_of(listing: Iterable[Listed], booted: Listed, staged: StagedDeployment | None) -> Survey:
    """Put a listing into roles."""
    return Survey(booted, staged, tuple(entry for entry in listing if not entry.staged))


def deployment_of(entry: Listed) -> Deployment:
    """What the agent knows an entry by."""
    return Deployment(entry.version, entry.checksum)


def foreign_staging(staged: StagedDeployment, waiting: str) -> TidegateError | None:
    """Why ``staged`` must not give way, or None when it may.

    A *locked* one may: nobody has released it, and it is either ours from an earlier target or waits for a decision
    that has not been made. An *unlocked* one was put there to be applied at the next shutdown, by somebody who does
    not talk to us; replacing it would undo what they did.
    """
    if staged.locked:
        return None
    return TidegateError(
        ErrorKind.ENGINE_FOREIGN_STAGING,
        f"somebody else staged {staged.version} ({staged.payload}) and the next shutdown applies it;"
        f" {waiting} has to wait",
        "reboot into it, or drop it with `ostree admin undeploy 0`, or leave it to Tidegate with"
        " `touch /run/ostree/staged-deployment-locked`",
    )


def not_staged(payload: str, survey: Survey) -> TidegateError:
    """``payload`` was to be armed and is not what is staged."""
    found = f"{survey.staged.version} ({survey.staged.payload}) is" if survey.staged else "nothing is"
    return TidegateError(
        ErrorKind.ENGINE_NOT_STAGED,
        f"{payload} cannot be armed: {found} staged",
        "stage it again: `tidegate stage`",
    )
