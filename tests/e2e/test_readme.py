"""The commands of README.md, from its own text, in a fresh Debian 13 whose machine id is empty."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.e2e.conftest import CHECKOUT
from tests.e2e.fresh_root import INSIDE, FreshRoot, fresh_root
from tests.e2e.lab.lab import Lab

pytestmark = pytest.mark.host

SUITE = "trixie"  # bookworm is what everything else runs on
README = (CHECKOUT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The blocks of the README in a language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


# A block that is added has to be run below as well.
DEMO, TESTS, PACKAGES, ENVIRONMENT, PUBLISH, COORDINATOR, ETCD, OPERATE = blocks("sh")
SNIPPETS = blocks("toml")

STEP_SECS = 400.0

# The rest of the suite knows one version of Python, systemd's tools and groff: these parts of it depend on them.
UNIT_PART = (
    "tests/unit tests/model tests/integration/cli/test_man_pages.py tests/integration/gates tests/integration/system"
)

RELEASES = """
mkdir -p tree/usr; ostree init --repo=repo --mode=archive
release() { ostree commit --repo=repo --branch=demo/x86_64/stable --add-metadata-string=version=$1 tree >/dev/null; }
release 42.1; tidegate publish release --repo repo --ref demo/x86_64/stable --graph stable.json
release 42.2
"""

# A network of its own: 2379 of this machine may be somebody's etcd. The last line of the block does not end.
SERVE = """
ip link set lo up
# LOG TEXT: until the last program in the background has written it; fails if that has ended.
await() {{ until grep -q "$2" "$1"; do kill -0 $! || {{ cat "$1"; exit 1; }}; sleep 0.2; done; }}
etcd --data-dir /tmp/etcd >/tmp/etcd.log 2>&1 &
etcd=$!
await /tmp/etcd.log 'ready to serve'
{serve} >/tmp/serve.log 2>&1 &
server=$!
await /tmp/serve.log 'serving operators'
/opt/tidegate/bin/python - <<'REQUEST'
import httpx
form = {{"client_params": {{"id": "ID", "group": "default"}}}}
headers = {{"fleet-lock-protocol": "true"}}
httpx.post("http://127.0.0.1:3333/v1/pre-reboot", json=form, headers=headers).raise_for_status()
REQUEST
{operate}
kill $server $etcd
"""


# No systemd runs in the root: what the manual has systemctl start is not started.
SYSTEMCTL = """#!/bin/sh
for word; do shift; [ "$word" = --now ] || set -- "$@" "$word"; done
exec /usr/bin/systemctl "$@"
"""


@pytest.fixture(name="fresh", scope="module")
def _fresh(lab: Lab) -> Iterator[FreshRoot]:
    """One for all: each test takes away what would be in the way of another."""
    with fresh_root(lab, SUITE) as root:
        systemctl = root.folder / "usr/local/sbin/systemctl"
        systemctl.write_text(SYSTEMCTL, encoding="utf-8")
        systemctl.chmod(0o755)
        yield root


def is_enabled(root: FreshRoot, unit: str) -> bool:
    links = [link.name for link in Path(root.folder, "etc/systemd/system").glob("*.wants/*")]
    return any(fnmatch(name, unit) for name in links)


def test_the_demo_plays(fresh: FreshRoot) -> None:
    told = fresh.must(DEMO, timeout_secs=STEP_SECS)
    assert "Welcome to release 2." in told
    assert "1 -> 2" in told


def test_the_tests_pass_with_an_empty_machine_id_and_no_service_is_enabled(fresh: FreshRoot) -> None:
    (command,) = TESTS.splitlines()
    fresh.must(f"{command} --version", timeout_secs=STEP_SECS)
    (fresh.folder / "etc/machine-id").write_text("")  # packages have filled it in
    told = fresh.must(f"{command} -q --numprocesses=2 {UNIT_PART}", timeout_secs=STEP_SECS)
    assert re.search(r"\d{4} passed", told)
    for service in ("etcd.service", "prometheus.service", "man-db.timer"):
        assert (fresh.folder / "usr/lib/systemd/system" / service).exists(), "it was installed"
        assert not is_enabled(fresh, service)
    assert not (fresh.folder / "usr/sbin/policy-rc.d").exists()


def test_the_packages_are_built_and_installed(fresh: FreshRoot) -> None:
    fresh.must(PACKAGES, timeout_secs=STEP_SECS)
    assert is_enabled(fresh, "tidegate.service")
    assert "tidegate, version" in fresh.must("tidegate --version", timeout_secs=STEP_SECS)
    refused = fresh.run("tidegate uninstall", timeout_secs=STEP_SECS)
    assert (refused.rc, "apt-get remove tidegate" in refused.err) == (1, True), refused
    fresh.must("apt-get purge tidegate tidegate-common", timeout_secs=STEP_SECS)


def test_an_environment_of_ones_own_has_all_that_the_readme_shows(fresh: FreshRoot) -> None:
    fresh.must("apt-get update -qq; apt-get install -qq python3-venv ostree systemd", timeout_secs=STEP_SECS)
    fresh.must(ENVIRONMENT, timeout_secs=STEP_SECS)
    assert is_enabled(fresh, "tidegate.service")
    site = fresh.folder / "etc/tidegate/config.d/50-updates.toml"
    for snippet in SNIPPETS:
        site.write_text(snippet, encoding="utf-8")
        fresh.must("tidegate config check; tidegate config show --origin", timeout_secs=STEP_SECS)
    site.unlink()
    assert fresh.run("tidegate doctor", timeout_secs=STEP_SECS).rc == 1, "this is no host with releases"
    fresh.must(f"mkdir /tmp/publish; cd /tmp/publish; {RELEASES}\n{PUBLISH}", timeout_secs=STEP_SECS)

    fresh.must("tidegate uninstall; rm -r /usr/lib/tidegate", timeout_secs=STEP_SECS)
    assert not is_enabled(fresh, "tidegate*")
    left = fresh.must("find /usr /etc -name '*tidegate*' -prune -print", timeout_secs=STEP_SECS).split()
    assert [path for path in left if not path.startswith(INSIDE)] == []


def test_a_coordinator_is_installed_and_serves(fresh: FreshRoot) -> None:
    fresh.must("apt-get update -qq; apt-get install -qq python3-venv systemd iproute2", timeout_secs=STEP_SECS)
    fresh.must(COORDINATOR, timeout_secs=STEP_SECS)
    assert is_enabled(fresh, "tidegate-coordinator.service")
    *prepare, serve = ETCD.splitlines()
    fresh.must("\n".join(prepare), timeout_secs=STEP_SECS)
    script = SERVE.format(serve=serve, operate=OPERATE)
    told = fresh.must(f"unshare --net sh -ec {shlex.quote(script)}", timeout_secs=STEP_SECS)
    assert "ID" in told
    fresh.must("tidegate uninstall; rm -r /opt/tidegate", timeout_secs=STEP_SECS)
