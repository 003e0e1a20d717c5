"""Where this machine gets its Debian from: the lab builds its hosts from the same mirrors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.lab.process import LabError

APT_DIR = Path("/etc/apt")
ARCHIVE_SUITES = frozenset({"bookworm", "trixie", "forky", "sid", "oldstable", "stable", "testing", "unstable"})


@dataclass(frozen=True, slots=True)
class AptSource:
    """One place that serves packages. ``signed_by`` is the path of a keyring, or empty for apt's own trust."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str = ""

    def line(self, suite: str) -> str:
        """The one-line form for ``suite``, main only."""
        option = f"[signed-by={self.signed_by}] " if self.signed_by else ""
        return f"deb {option}{self.uri} {suite} main"


def read_apt_sources(apt_dir: Path = APT_DIR) -> list[AptSource]:
    """All enabled binary sources of this machine, in apt's order; both formats."""
    parts = apt_dir / "sources.list.d"
    one_line = [apt_dir / "sources.list", *sorted(parts.glob("*.list"))]
    found = [s for f in one_line if f.is_file() for s in parse_one_line(f.read_text())]
    return found + [s for f in sorted(parts.glob("*.sources")) for s in parse_deb822(f.read_text())]


def parse_one_line(text: str) -> Iterator[AptSource]:
    """The sources of a ``.list`` file."""
    for line in text.splitlines():
        if m := re.match(r"\s*deb\s+(?:\[(?P<options>[^]]*)\]\s*)?(?P<uri>\S+)\s+(?P<rest>[^#]*)", line):
            suite, *components = m["rest"].split()
            keyring = re.search(r"signed-by=(\S+)", m["options"] or "")
            yield AptSource(m["uri"], (suite,), tuple(components), keyring[1] if keyring else "")


def parse_deb822(text: str) -> Iterator[AptSource]:
    """The sources of a ``.sources`` file, one for each URI of each enabled stanza."""
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    for stanza in "\n".join(lines).split("\n\n"):
        fields = {k.lower(): " ".join(v.split()) for k, v in _FIELD.findall(stanza + "\n")}
        if "deb" in fields.get("types", "").split() and fields.get("enabled", "yes") != "no":
            yield from _stanza_sources(fields)


_FIELD = re.compile(r"^([A-Za-z-]+):((?:.*\n)(?:[ \t].*\n)*)", re.MULTILINE)


def _stanza_sources(fields: dict[str, str]) -> Iterator[AptSource]:
    keyring = fields.get("signed-by", "")
    path = keyring if keyring.startswith("/") else ""  # a key written into the stanza is left to apt's own trust
    for uri in fields.get("uris", "").split():
        yield AptSource(uri, tuple(fields["suites"].split()), tuple(fields.get("components", "").split()), path)


def lines_for(suite: str, sources: Iterable[AptSource]) -> list[str]:
    """One-line sources for ``suite`` at this machine's mirrors: the archive, and security updates where it has them.

    Raises:
        LabError: none of the sources is a Debian archive.
    """
    debian = [s for s in sources if "main" in s.components and not s.uri.startswith("cdrom:")]
    archive = next((s for s in debian if ARCHIVE_SUITES.intersection(s.suites)), None)
    security = next((s for s in debian if any(name.endswith("-security") for name in s.suites)), None)
    if archive is None:
        raise LabError(
            "no Debian archive among this machine's apt sources",
            f"add a source of Debian's main component below {APT_DIR}",
        )
    return [archive.line(suite), *([security.line(f"{suite}-security")] if security else [])]
