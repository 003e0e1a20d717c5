"""The state of a sysroot at one moment: booted, staged, default and earlier deployments. Pure."""

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
        """The boot loader's default."""
        return self.entries[0]

    @property
    def next_boot(self) -> str:
        """The payload that a reboot at this moment would lead to."""
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
    """Return the survey of a listing."""
    return Survey(booted, staged, tuple(entry for entry in listing if not entry.staged))


def deployment_of(entry: Listed) -> Deployment:
    """Return an entry as a deployment of the engine protocol."""
    return Deployment(entry.version, entry.checksum)


def foreign_staging(staged: StagedDeployment, waiting: str) -> TidegateError | None:
    """Return why ``staged`` must not be replaced, or None when it may be.

    A *locked* one may be: it was not released, and is either this engine's, for an earlier target, or waits for a
    decision. An *unlocked* one was staged by another tool or person to be applied at the next shutdown; to replace it
    would undo that.
    """
    if staged.locked:
        return None
    return TidegateError(
        ErrorKind.ENGINE_FOREIGN_STAGING,
        f"{staged.version} ({staged.payload}) was staged outside of Tidegate, and the next shutdown applies it;"
        f" {waiting} has to wait",
        "reboot into it, or drop it with `ostree admin undeploy 0`, or leave it to Tidegate with"
        " `touch /run/ostree/staged-deployment-locked`",
    )


def not_staged(payload: str, survey: Survey) -> TidegateError:
    """Return the error for arming ``payload`` while another release, or none, is staged."""
    found = f"{survey.staged.version} ({survey.staged.payload}) is" if survey.staged else "nothing is"
    return TidegateError(
        ErrorKind.ENGINE_NOT_STAGED,
        f"{payload} cannot be armed: {found} staged",
        "stage it again: `tidegate stage`",
    )
