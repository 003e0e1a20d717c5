"""A bundle of what is needed to examine a host's updates from afar, without its secrets."""

from __future__ import annotations

import io
import json
import platform
import re
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tidegate import __version__
from tidegate.config import show
from tidegate.doctor.base import Host
from tidegate.errors import TidegateError
from tidegate.settings import DEFAULT_ROOTS, load
from tidegate.system import process

FOLDER = "tidegate-report"
MODE = 0o600
"""The journal is not for everybody on the host."""

COMMAND_SECS = 20.0

COMMANDS: Mapping[str, Sequence[str]] = {
    "journal.txt": ("journalctl", "--no-pager", "--boot=all", "--unit=tidegate*", "--lines=2000", "--output=short-iso"),
    "units.txt": ("systemctl", "--no-pager", "--full", "status", "tidegate*"),
    "ostree.txt": ("ostree", "admin", "status"),
}
"""By file: the command whose output it has."""

_USERINFO = re.compile(r"(\w://)[^/\s@'\"]+@")
_VALUE = re.compile(r"([?&][^=&#\s]*(?:token|key|secret|passw|auth|sig)[^=&#\s]*=)[^&#\s'\"]*", re.IGNORECASE)
_HEADER = re.compile(r"(authorization\"?\s*[:=]\s*\"?)[^\n\"']*", re.IGNORECASE)
_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)


def without_secrets(text: str) -> str:
    """``text`` with ``***`` in place of passwords in URLs, tokens in queries and headers, and private keys."""
    text = _USERINFO.sub(r"\1***@", text)
    text = _HEADER.sub(r"\1***", _VALUE.sub(r"\1***", text))
    return _KEY.sub("*** a private key ***", text)


async def files(host: Host, report: Mapping[str, object]) -> dict[str, str]:
    """The files of the bundle by name; ``report`` is the document of ``tidegate doctor --json``."""
    texts = {
        "doctor.json": json.dumps(report, indent=1),
        "status.json": json.dumps(dict(host.snapshot), indent=1),
        "configuration.toml": _configuration(),
        "versions.txt": f"tidegate {__version__}\npython {platform.python_version()}\nkernel {platform.release()}\n",
    }
    for name, command in COMMANDS.items():
        texts[name] = await _output(command)
    return {name: without_secrets(text) for name, text in texts.items()}


def write(path: Path, texts: Mapping[str, str]) -> None:
    """Write the bundle, a tar archive, readable by its owner alone.

    Raises:
        OSError: ``path`` exists already, or cannot be written.
    """
    with path.open("xb") as file:
        path.chmod(MODE)
        with tarfile.open(fileobj=file, mode="w:gz") as archive:
            for name, text in texts.items():
                data = text.encode()
                entry = tarfile.TarInfo(f"{FOLDER}/{name}")
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))


def _configuration() -> str:
    """The settings with their origins, secrets left out; or the problems that keep them from being read."""
    loaded = load(DEFAULT_ROOTS)
    if loaded.settings is None:
        return "\n".join(f"# {problem}" for problem in loaded.problems)
    return show.as_toml(loaded.settings, loaded.origins)


async def _output(command: Sequence[str]) -> str:
    try:
        done = await process.run(tuple(command), deadline_secs=COMMAND_SECS)
    except TidegateError as err:
        return f"{err.message}\n"
    return done.stdout + done.stderr
