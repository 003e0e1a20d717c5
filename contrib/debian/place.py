"""Install the files of the packages into their folders; run by debian/rules in the build tree."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from tidegate.cli import install_places

COMMON, AGENT, COORDINATOR = (Path("debian", name) for name in ("tidegate-common", "tidegate", "tidegate-coordinator"))
HOME = Path("usr/lib/tidegate")
LIBRARIES = HOME / "lib/python3/site-packages"

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
"""The supported versions of Debian's python3; debian/control has the same bounds."""

VENV = "home = /usr/bin\ninclude-system-site-packages = false\n"
"""A virtual environment for all versions of Python. It hides the distribution's modules (dbus-next would load
PyGObject), and ``sys.executable`` makes the agent's children use it too."""

COMMAND = f"#!/{HOME}/bin/python3 -I\nfrom tidegate.cli.start import main\n\nmain()\n"

RECOMPILE = """\
#!/bin/sh
set -e
# The default version of Debian's python3 has changed.
if [ "$1" = rtupdate ]; then
	py3clean -p {package}
	py3compile -p {package} /usr/lib/tidegate
fi
"""

AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")

_UNSHIPPED = shutil.ignore_patterns("tests", "dateutil-zoneinfo.tar.gz")  # the host has its own time zones
LICENCE = re.compile(r"(licen[cs]e|copying|notice)", re.IGNORECASE)


def main() -> None:
    """Install all files."""
    _command()
    shutil.copytree("agent/tidegate", COMMON / LIBRARIES / "tidegate")
    _libraries(Path("vendor/agent"), COMMON)
    _libraries(Path("vendor/coordinator"), COORDINATOR)
    _use_the_hosts_certificates()
    for package in (COMMON, COORDINATOR):
        hook = package / "usr/share/python3/runtime.d" / f"{package.name}.rtupdate"
        _write(hook, RECOMPILE.format(package=package.name)).chmod(0o755)
    for package, source, place in _data():
        _copy(source, package / place)


def _command() -> None:
    """Install ``/usr/bin/tidegate`` and its virtual environment."""
    home = COMMON / HOME
    _write(home / "pyvenv.cfg", VENV)
    _write(COMMON / "usr/bin/tidegate", COMMAND).chmod(0o755)
    (home / "bin").mkdir()
    (home / "bin/python3").symlink_to("/usr/bin/python3")
    for version in PYTHONS:
        (home / "lib").mkdir(exist_ok=True)
        (home / "lib" / f"python{version}").symlink_to("python3")


def _libraries(vendored: Path, package: Path) -> None:
    """Install the libraries without their commands; their licences go to /usr/share/doc."""
    place, licences = package / LIBRARIES, package / "usr/share/doc" / package.name / "vendored"
    for part in sorted(vendored.iterdir()):
        if part.name.endswith(".dist-info"):
            _metadata(part, place / part.name, licences)
        elif part.is_dir() and part.name != "bin":
            shutil.copytree(part, place / part.name, ignore=_UNSHIPPED, copy_function=shutil.copyfile)
        elif part.suffix == ".py":
            _copy(part, place / part.name)


def _metadata(found: Path, place: Path, licences: Path) -> None:
    """Install METADATA, from which scanners for vulnerable versions read name and version; and licences."""
    name = found.name.removesuffix(".dist-info")
    _copy(found / "METADATA", place / "METADATA")
    for file in sorted(found.rglob("*")):
        if file.is_file() and LICENCE.match(file.name):
            _copy(file, licences / f"{name}.{'notice' if 'notice' in file.name.lower() else 'terms'}.txt")


def _use_the_hosts_certificates() -> None:
    bundle = COMMON / LIBRARIES / "certifi/cacert.pem"
    bundle.unlink()
    bundle.symlink_to(AUTHORITIES)


def _data() -> Iterator[tuple[Path, Path, str]]:
    """The files that ``tidegate install`` installs from a wheel: package, source and place."""
    for name, place in install_places.PLACES.items():
        yield COORDINATOR if "coordinator" in name else AGENT, Path("systemd", name), place
    for snippet in sorted(Path("config.d").glob("*.toml")):
        yield AGENT, snippet, f"{install_places.CONFIG}/{snippet.name}"
    for kind in ("coordinator", "initramfs-tools", "monitoring", "schema"):
        for example in sorted(path for path in Path("contrib", kind).rglob("*") if path.is_file()):
            yield AGENT, example, f"{install_places.EXAMPLES}/{example.relative_to('contrib')}"
    for name, place in install_places.COMPLETIONS.items():
        yield COMMON, Path("contrib/completions", name), place


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _write(target: Path, text: str) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    return target


if __name__ == "__main__":
    main()
