"""The sysroot of the running host: releases are staged, and armed or disarmed by the finalization lock."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tidegate.engines.base import FinalizeFailure, StagedDeployment
from tidegate.engines.ostree import bootmenu
from tidegate.engines.ostree.boot_order import make_default
from tidegate.engines.ostree.cli import OstreeCli
from tidegate.engines.ostree.finalize import FINALIZE, FinalizeReport
from tidegate.engines.ostree.lock import FinalizationLock
from tidegate.engines.ostree.source import Source
from tidegate.engines.ostree.status import Listed
from tidegate.engines.ostree.survey import Survey, foreign_staging, not_staged, survey_of
from tidegate.errors import ErrorKind, TidegateError
from tidegate.system import process

RUNTIME = Path("/run/ostree")
BOOT = Path("/boot")


class BootedHost:
    """The sysroot that this system was booted from."""

    def __init__(self, cli: OstreeCli, runtime: Path = RUNTIME, boot: Path = BOOT) -> None:
        self.cli = cli
        self.boot = boot
        self._lock = FinalizationLock(cli, runtime)
        self._report = FinalizeReport(boot, cli.limits.query_secs)

    async def survey(self) -> Survey:
        """Return what is booted, staged and bootable now."""
        listing = await self.cli.list_deployments()
        booted = next((entry for entry in listing if entry.booted), None)
        if booted is None:
            raise _not_booted()
        staged = next((entry for entry in listing if entry.staged), None)
        return survey_of(listing, booted, self._with_lock(staged) if staged else None)

    def booted_by_current_menu(self) -> bool | None:
        """Return whether this boot was chosen from the present menu; None where that is not known."""
        return bootmenu.read(Path("/"), self.boot)

    async def finalize_failure(self) -> FinalizeFailure | None:
        """Return why the switch at the last shutdown failed, or None."""
        return await self._report.failure()

    async def stage(self, payload: str, source: Source) -> None:
        """Stage a commit whose objects are in the repository, locked; it replaces what was staged before."""
        self._report.forget_stamp()
        had_file = self._lock.file_exists
        try:
            await self._deploy(payload, source)
        except BaseException:
            await self._tidy(payload, had_file=had_file)
            raise
        await self.secure(payload)

    async def secure(self, payload: str) -> None:
        """Lock the staged ``payload`` if it is not, and make sure that a shutdown applies it once it is unlocked."""
        survey = await self.survey()
        if survey.staged is None or survey.staged.payload != payload:
            raise not_staged(payload, survey)
        if not survey.staged.locked:
            await self._lock.lock()
        await self._start_finalize_unit()

    async def arm(self, payload: str) -> None:
        """Unlock the staged ``payload``, and verify that the next shutdown applies it."""
        survey = await self.survey()
        if survey.next_boot == payload and survey.staged is None:
            return  # it has a boot entry and is the default
        if survey.staged is None or survey.staged.payload != payload:
            raise not_staged(payload, survey)
        await self._start_finalize_unit()
        await self._lock.unlock()
        await self._check_armed(payload)

    async def disarm(self, payload: str) -> None:
        """Lock the staged ``payload``; where it has become the default, make the booted release the default again."""
        survey = await self.survey()
        if survey.staged and survey.staged.payload == payload:
            await self._lock.lock()
        if survey.default.checksum == payload != survey.booted.checksum:
            await self.drop_staged("the booted release")
            survey = await self.survey()
            await make_default(self.cli, survey.entries, survey.booted)

    async def discard(self, payload: str, source: Source) -> None:
        """Drop the staged ``payload``, and release its objects for deletion."""
        survey = await self.survey()
        if survey.staged is None:
            self._lock.remove_file()  # left behind by a staging that was killed
        if survey.staged is None or survey.staged.payload != payload:
            return
        await self.cli.move_ref(source.refspec, survey.booted.checksum)
        await self._undeploy_staged(payload)

    async def drop_staged(self, waiting: str) -> None:
        """Drop what is staged, since writing the boot order for ``waiting`` would drop it anyway.

        Raises:
            TidegateError: ``engine.foreign-staging`` for an unlocked staging.
        """
        survey = await self.survey()
        if survey.staged is None:
            return
        if refusal := foreign_staging(survey.staged, waiting):
            raise refusal
        await self._undeploy_staged(survey.staged.payload)

    def _with_lock(self, staged: Listed) -> StagedDeployment:
        return StagedDeployment(staged.version, staged.checksum, staged.locked or self._lock.file_exists)

    async def _deploy(self, payload: str, source: Source) -> None:
        self._lock.put_file()
        options = ["--stage"]
        if await self.cli.offers("--lock-finalization", "admin", "deploy"):
            options.append("--lock-finalization")
        with tempfile.NamedTemporaryFile("w", prefix="tidegate-origin-", encoding="utf-8") as origin:
            origin.write(source.origin_text)
            origin.flush()
            options.append(f"--origin-file={origin.name}")
            await self.cli.admin("deploy", *options, payload, doing=f"staging {payload}")

    async def _tidy(self, payload: str, *, had_file: bool) -> None:
        """Remove the lock file after a failed staging, unless it belongs to an earlier one.

        ostree 2022.7 and 2025.2 leave it behind when ``deploy --lock-finalization`` fails, and on 2025.2 the earlier
        staging survives that.
        """
        staged = next((entry for entry in await self.cli.list_deployments() if entry.staged), None)
        if staged is None or (not had_file and staged.checksum != payload):
            self._lock.remove_file()

    async def _start_finalize_unit(self) -> None:
        """Start the unit whose *stop* job applies the staging, and verify that it is active.

        Left to the ``.path`` unit (until 2024.10), it loses a race against a reboot right after staging: the update is
        lost silently.
        """
        doing = f"starting {FINALIZE}"
        await self._systemctl("start", FINALIZE, doing=doing)
        if not await self._is_finalize_unit_active():
            raise _not_applied(doing, "it is not active")

    async def _is_finalize_unit_active(self) -> bool:
        shown = await self._systemctl("show", "--property=ActiveState", FINALIZE, doing=f"asking about {FINALIZE}")
        return "ActiveState=active" in shown.splitlines()

    async def _systemctl(self, *arguments: str, doing: str) -> str:
        done = await process.run(("systemctl", *arguments), deadline_secs=self.cli.limits.query_secs)
        if done.returncode != 0:
            raise _not_applied(doing, done.stderr.strip())
        return done.stdout

    async def _check_armed(self, payload: str) -> None:
        survey = await self.survey()
        if survey.staged and survey.next_boot == payload and await self._is_finalize_unit_active():
            return
        if survey.staged:
            await self._lock.lock()
        raise not_staged(payload, survey)

    async def _undeploy_staged(self, payload: str) -> None:
        listing = await self.cli.list_deployments()
        index = next((entry.index for entry in listing if entry.staged and entry.checksum == payload), None)
        if index is not None:
            await self.cli.admin("undeploy", str(index), doing=f"dropping the staged {payload}")
            self._lock.remove_file()


def _not_booted() -> TidegateError:
    return TidegateError(
        ErrorKind.ENGINE_UNSUPPORTED_HOST,
        "this system was not booted from an ostree deployment",
        "choose another engine in [engine] kind, or install an OSTree host",
    )


def _not_applied(doing: str, why: str) -> TidegateError:
    return TidegateError(
        ErrorKind.ENGINE_FAILED,
        f"{doing}: {why}; a shutdown would not apply what is staged",
        f"see `systemctl status {FINALIZE}`; on Debian the unit is in the package ostree-boot",
    )
