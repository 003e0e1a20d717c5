"""The packages as contrib/debian/build.sh makes them: what is in them, what lintian says, that they repeat."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from contrib.man import roff
from tests.e2e.debs import SOURCE, build_packages, packages
from tests.e2e.lab.cache import Cache
from tidegate.cli import install_places

pytestmark = pytest.mark.root  # build.sh may have to install debhelper

CHECKOUT = Path(__file__).resolve().parents[3]
LINTIAN_SECS = 300.0


@pytest.fixture(name="debs", scope="module")
def _debs() -> Path:
    for program, package in (("dh", "debhelper"), ("dpkg-buildpackage", "dpkg-dev")):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: apt-get install {package}")
    return packages(Cache.default(print), CHECKOUT)


def names(debs: Path) -> set[str]:
    """All files in all packages; where Debian 12 has /lib for units, the same place below /usr."""
    listed = [
        subprocess.run(["dpkg-deb", "--contents", deb], capture_output=True, text=True, check=True).stdout
        for deb in debs.glob("*.deb")
    ]
    found = (line.split()[5].removeprefix("./") for text in listed for line in text.splitlines())
    return {re.sub(r"^lib/", "usr/lib/", name) for name in found}


def test_what_a_wheel_puts_in_place_the_packages_do_as_well(debs: Path) -> None:
    defaults = {f"{install_places.CONFIG}/{snippet.name}" for snippet in (CHECKOUT / "config.d").glob("*.toml")}
    sources = (CHECKOUT / "contrib/man").glob("*.md")
    pages = {f"{install_places.MANUALS}/{roff.place_of(source)}.gz" for source in sources}
    examples = {
        f"{install_places.EXAMPLES}/{file.relative_to(CHECKOUT / 'contrib')}"
        for kind in ("coordinator", "monitoring", "schema")
        for file in (CHECKOUT / "contrib" / kind).rglob("*")
        if file.is_file()
    }
    wanted = {
        *examples,
        *install_places.PLACES.values(),
        *install_places.COMPLETIONS.values(),
        install_places.COMMAND,
        *defaults,
        *pages,
    }
    assert wanted - names(debs) == set()


def test_there_is_nothing_that_belongs_to_one_version_of_python_or_one_machine(debs: Path) -> None:
    assert {deb.name.rsplit("_", 1)[1] for deb in debs.glob("*.deb")} == {"all.deb"}
    assert not [name for name in names(debs) if name.endswith((".so", ".pyc", ".pem.gz"))]


def test_lintian_has_nothing_to_say(debs: Path) -> None:
    if shutil.which("lintian") is None:
        pytest.skip("lintian is not installed: apt-get install lintian")
    (changes,) = debs.glob("*.changes")
    argv = ["lintian", "--allow-root", "--fail-on", "error,warning", str(changes)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=LINTIAN_SECS, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_a_second_build_gives_the_same_bytes(debs: Path, tmp_path: Path) -> None:
    again = build_packages(debs / SOURCE, tmp_path)
    assert [deb.name for deb in again] == sorted(deb.name for deb in debs.glob("*.deb"))
    for deb in again:
        assert deb.read_bytes() == (debs / deb.name).read_bytes(), deb.name
