"""A sysroot in a folder, not booted: for demonstrations and tests where no host can be booted.

ostree refuses to stage there, so the parts are played by what it can do: *staged* is a commit that was pulled (the
remote's ref points to it) and has no boot entry, *arm* deploys it, *disarm* takes its boot entry away again. All of it
is read back from the sysroot; only which deployment counts as booted is somebody's word.
"""

from __future__ import annotations

import tempfile

from tidegate.engines.base import FinalizeFailure, StagedDeployment
from tidegate.engines.ostree.bootorder import make_default
from tidegate.engines.ostree.cli import OstreeCli
from tidegate.engines.ostree.source import Source, source_of
from tidegate.engines.ostree.status import SHORT_CHECKSUM, Listed
from tidegate.engines.ostree.survey import Survey, not_staged, survey_of
from tidegate.errors import ErrorKind, TidegateError


class ScratchSysroot:
    """A sysroot whose boots are played by the caller.

    ``booted`` names the payload that counts as booted. Without it the default deployment of the first look does, for
    the life of this object: one object is one boot.
    """

    boot = None

    def __init__(self, cli: OstreeCli, booted: str | None = None) -> None:
        self.cli = cli
        self._booted = booted

    async def survey(self) -> Survey:
        """What counts as booted and staged, and what has a boot entry."""
        listing = await self.cli.list_deployments()
        booted = self._booted_of(listing)
        self._booted = booted.checksum
        return survey_of(listing, booted, await self._pulled(booted, listing))

    async def finalize_failure(self) -> FinalizeFailure | None:
        """Nothing is finalized here, so nothing fails."""
        return None

    async def stage(self, payload: str, source: Source) -> None:
        """Nothing beyond the pull, which the ref remembers."""
        await self.cli.move_ref(source.refspec, payload)

    async def secure(self, payload: str) -> None:
        """What was pulled only is out of every boot's reach."""

    async def arm(self, payload: str) -> None:
        """Deploy what was pulled: from now on it is the default."""
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
        """Take the boot entry of ``payload`` away; its objects stay, held by the ref."""
        survey = await self.survey()
        if payload == survey.booted.checksum or survey.default.checksum != payload:
            return
        await self.cli.admin("undeploy", str(survey.default.index), doing=f"disarming {payload}")
        survey = await self.survey()
        if survey.default != survey.booted:
            await make_default(self.cli, survey.booted)

    async def discard(self, payload: str, source: Source) -> None:
        """Let go of what was pulled."""
        survey = await self.survey()
        if survey.staged and survey.staged.payload == payload:
            await self.cli.move_ref(source.refspec, survey.booted.checksum)
            await self.cli.admin("cleanup", doing=f"deleting the objects of {payload}")

    async def drop_staged(self, waiting: str) -> None:
        """A pulled commit is in nobody's way."""

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
