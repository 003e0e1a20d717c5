"""A sysroot in a folder that is not booted, for demonstrations and tests without a bootable host.

ostree cannot stage there, so the verbs are mapped to what it can do: a commit counts as *staged* when it was pulled
(the remote's ref points to it) and has no boot entry; *arm* deploys it, *disarm* removes its boot entry. All state is
read back from the sysroot, except which deployment counts as booted.
"""

from __future__ import annotations

import tempfile

from tidegate.engines.base import FinalizeFailure, StagedDeployment
from tidegate.engines.ostree.boot_order import make_default
from tidegate.engines.ostree.cli import OstreeCli
from tidegate.engines.ostree.source import Source, source_of
from tidegate.engines.ostree.status import SHORT_CHECKSUM, Listed
from tidegate.engines.ostree.survey import Survey, not_staged, survey_of
from tidegate.errors import ErrorKind, TidegateError


class ScratchSysroot:
    """A sysroot whose boots are simulated by the caller.

    ``booted`` is the payload that counts as booted; by default, the default deployment at the first status, for the
    life of this object: one object is one boot.
    """

    boot = None

    def __init__(self, cli: OstreeCli, booted: str | None = None) -> None:
        self.cli = cli
        self._booted = booted

    async def survey(self) -> Survey:
        """Return what counts as booted and staged, and what has a boot entry."""
        listing = await self.cli.list_deployments()
        booted = self._booted_of(listing)
        self._booted = booted.checksum
        return survey_of(listing, booted, await self._pulled(booted, listing))

    def booted_by_current_menu(self) -> bool | None:
        """Return True: no power is cut between the caller's boots."""
        return True

    async def finalize_failure(self) -> FinalizeFailure | None:
        """Return None: nothing is finalized at a shutdown here."""
        return None

    async def stage(self, payload: str, source: Source) -> None:
        """Record the pulled commit in the ref; there is nothing else to prepare."""
        await self.cli.move_ref(source.refspec, payload)

    async def secure(self, payload: str) -> None:
        """Do nothing: what is only pulled has no boot entry."""

    async def arm(self, payload: str) -> None:
        """Deploy the pulled commit, which makes it the default."""
        survey = await self.survey()
        if survey.next_boot == payload:
            return
        if survey.staged is None or survey.staged.payload != payload:
            raise not_staged(payload, survey)
        with tempfile.NamedTemporaryFile("w", prefix="tidegate-origin-", encoding="utf-8") as origin:
            origin.write(source_of(survey.booted).origin_text)
            origin.flush()
            stateroot = f"--os={survey.booted.stateroot}"
            await self.cli.admin(
                "deploy", stateroot, "--retain", f"--origin-file={origin.name}", payload, doing=f"deploying {payload}"
            )

    async def disarm(self, payload: str) -> None:
        """Remove the boot entry of ``payload``; the ref keeps its objects."""
        survey = await self.survey()
        if payload == survey.booted.checksum or survey.default.checksum != payload:
            return
        await self.cli.admin("undeploy", str(survey.default.index), doing=f"disarming {payload}")
        survey = await self.survey()
        if survey.default != survey.booted:
            await make_default(self.cli, survey.entries, survey.booted)

    async def discard(self, payload: str, source: Source) -> None:
        """Move the ref away from the pulled ``payload``, and delete its objects."""
        survey = await self.survey()
        if survey.staged and survey.staged.payload == payload:
            await self.cli.move_ref(source.refspec, survey.booted.checksum)
            await self.cli.admin("cleanup", doing=f"deleting the objects of {payload}")

    async def drop_staged(self, waiting: str) -> None:
        """Do nothing: a pulled commit does not affect the boot order."""

    def _booted_of(self, listing: tuple[Listed, ...]) -> Listed:
        booted = next((entry for entry in listing if self._booted in (None, entry.checksum)), None)
        if booted is None:
            raise _no_such_deployment(self.cli, self._booted)
        return booted

    async def _pulled(self, booted: Listed, listing: tuple[Listed, ...]) -> StagedDeployment | None:
        checksum = await self.cli.resolve(source_of(booted).refspec)
        present = {entry.checksum for entry in listing}
        if checksum is None or checksum in present or not self.cli.is_complete(checksum):
            return None
        version = await self.cli.version_of(checksum) or checksum[:SHORT_CHECKSUM]
        return StagedDeployment(version, checksum, locked=True)


def _no_such_deployment(cli: OstreeCli, booted: str | None) -> TidegateError:
    return TidegateError(
        ErrorKind.ENGINE_UNSUPPORTED_HOST,
        f"the sysroot {cli.sysroot} has {f'no deployment of {booted}' if booted else 'no deployment at all'}",
        "deploy a release there first: `ostree admin deploy --sysroot=PATH`",
    )
