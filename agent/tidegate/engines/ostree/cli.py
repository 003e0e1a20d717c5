"""The ``ostree`` command on one sysroot: run it with argument lists, and return text or raise typed errors."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path

from tidegate.engines.ostree.errors import classify, is_frozen
from tidegate.engines.ostree.limits import Limits
from tidegate.engines.ostree.status import Listed, parse_date, parse_json, parse_text, parse_text_value, parse_version
from tidegate.system import process

# The host's own sysroot. Without --sysroot, ostree works on the booted one wherever it is mounted.
HOST = Path("/")


class OstreeCli:
    """Runs ``ostree`` for one sysroot. Options are detected in ``--help``, never derived from the version.

    ``repo_path`` is a repository other than the sysroot's, for work that must not change that one.
    """

    def __init__(self, sysroot: Path = HOST, limits: Limits | None = None, repo_path: Path | None = None) -> None:
        self.sysroot = sysroot
        self.limits = limits or Limits()
        self.repo_path = repo_path or sysroot / "ostree/repo"
        self._helps: dict[tuple[str, ...], str] = {}
        self._version: tuple[int, int] | None = None

    async def admin(self, verb: str, *arguments: str, doing: str) -> str:
        """Run ``ostree admin VERB``, with the long deadline: it may wait for the lock of another ostree."""
        where = () if self.sysroot == HOST else (f"--sysroot={self.sysroot}",)
        argv = ("ostree", "admin", verb, *where, *arguments)
        return await self._checked(argv, doing, self.limits.change_secs)

    async def repo(self, verb: str, *arguments: str, doing: str) -> str:
        """Run ``ostree VERB`` on the repository, for verbs that only read or are quick."""
        argv = ("ostree", verb, f"--repo={self.repo_path}", *arguments)
        return await self._checked(argv, doing, self.limits.query_secs)

    async def pull(self, *arguments: str, doing: str, sink: process.TextSink) -> None:
        """Run ``ostree pull`` on a terminal, whose text goes to ``sink``.

        It is killed to cancel it: libostree's own cancellation waits for the transfers in progress.
        """
        argv = ("ostree", "pull", f"--repo={self.repo_path}", *arguments)
        watch = process.Watch(sink, self.limits.silence_secs)
        done = await self.run(argv, self.limits.stage_secs, watch)
        if done.returncode != 0:
            raise classify(done.stderr, doing)

    async def offers(self, option: str, *command: str) -> bool:
        """Whether ``ostree COMMAND --help`` lists ``option``, an option or a subcommand, as a whole word."""
        if command not in self._helps:
            done = await process.run(("ostree", *command, "--help"), deadline_secs=self.limits.query_secs)
            self._helps[command] = done.stdout + done.stderr
        words = self._helps[command].replace("=", " ").replace(",", " ").split()
        return option in words

    async def version(self) -> tuple[int, int]:
        """Return year and number of ostree's version, for the defects that no option tells of."""
        if self._version is None:
            done = await process.run(("ostree", "--version"), deadline_secs=self.limits.query_secs)
            self._version = parse_version(done.stdout)
        return self._version

    async def list_deployments(self) -> tuple[Listed, ...]:
        """Return what ``ostree admin status`` lists, read from JSON where this version has it."""
        if await self.offers("--json", "admin", "status"):
            return parse_json(await self.admin("status", "--json", doing="listing deployments"))
        return parse_text(await self.admin("status", doing="listing deployments"))

    async def resolve(self, refspec: str) -> str | None:
        """Return the checksum that a local ref points to, or None where there is no such ref."""
        argv = ("ostree", "rev-parse", f"--repo={self.repo_path}", refspec)
        done = await process.run(argv, deadline_secs=self.limits.query_secs)
        return done.stdout.strip() if done.returncode == 0 else None

    async def version_of(self, checksum: str) -> str | None:
        """Return the version in a commit's metadata, or None."""
        return await self.metadata_of(checksum, "version")

    async def metadata_of(self, checksum: str, key: str) -> str | None:
        """Return the text at ``key`` in a commit's metadata, or None."""
        argv = ("ostree", "show", f"--repo={self.repo_path}", f"--print-metadata-key={key}", checksum)
        done = await process.run(argv, deadline_secs=self.limits.query_secs)
        return parse_text_value(done.stdout) if done.returncode == 0 else None

    async def date_of(self, checksum: str) -> datetime:
        """Return the date that a commit states."""
        text = await self.repo("show", checksum, doing=f"reading the date of {checksum}")
        return parse_date(text)

    async def move_ref(self, refspec: str, checksum: str) -> None:
        """Move a local ref; objects that only it referred to are deleted by the next clean-up."""
        await self.repo("refs", f"--create={refspec}", "--force", checksum, doing=f"moving {refspec} to {checksum}")

    def is_complete(self, checksum: str) -> bool:
        """Whether the repository has every object of a commit; an interrupted pull leaves a ``.commitpartial``."""
        if (self.repo_path / "state" / f"{checksum}.commitpartial").exists():
            return False
        return (self.repo_path / "objects" / checksum[:2] / f"{checksum[2:]}.commit").exists()

    async def run(
        self, argv: tuple[str, ...], deadline_secs: float, watch: process.Watch | None = None
    ) -> process.Completed:
        """Run ``argv`` to its end, again after a pause where the file system of /sysroot is frozen.

        A read-only /sysroot is remounted for each change, and the kernel refuses that (EBUSY) while the file system is
        frozen: by a snapshot of a virtual machine, for seconds, or by another libostree (seen in 2022.7), which
        freezes and thaws /boot after it has written boot entries. The command has changed nothing by then.

        Raises:
            TidegateError: as :func:`tidegate.system.process.run` does.
        """
        for pause_secs in self.limits.frozen_pauses_secs:
            done = await process.run(argv, deadline_secs=deadline_secs, watch=watch)
            if done.returncode == 0 or not is_frozen(done.stderr):
                return done
            await asyncio.sleep(pause_secs)
        return await process.run(argv, deadline_secs=deadline_secs, watch=watch)

    async def _checked(self, argv: tuple[str, ...], doing: str, deadline_secs: float) -> str:
        done = await self.run(argv, deadline_secs)
        if done.returncode != 0:
            raise classify(done.stderr, doing)
        return done.stdout
