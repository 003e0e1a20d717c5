"""contrib/setup.sh: what it does to the services and caches of the machine that it installs packages on."""

from __future__ import annotations

import subprocess
from pathlib import Path

SETUP = Path(__file__).resolve().parents[3] / "contrib/setup.sh"


def sh(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a script with the functions of setup.sh; ``policy`` in ``folder`` stands for policy-rc.d."""
    whole = f"set -eu\n. {SETUP}\nservices_policy={folder}/policy\n{script}"
    return subprocess.run(["sh", "-c", whole], capture_output=True, text=True, timeout=60, check=False)


def test_services_are_not_started_while_packages_are_installed_and_are_restarted_by_upgrades(tmp_path: Path) -> None:
    asked = 'sh "$services_policy" --quiet etcd {} 2 && echo may || echo "may not ($?)"'
    done = sh(f"forbid_services; {asked.format('start')}; {asked.format('restart')}; allow_services", tmp_path)
    assert (done.stdout, done.stderr) == ("may not (101)\nmay\n", "")
    assert not (tmp_path / "policy").exists()


def test_a_policy_of_the_machine_stays(tmp_path: Path) -> None:
    (tmp_path / "policy").write_text("exit 101\n")
    assert sh("forbid_services; allow_services", tmp_path).returncode == 0
    assert (tmp_path / "policy").read_text() == "exit 101\n"


def test_what_was_installed_is_named_when_the_caches_are_removed(tmp_path: Path) -> None:
    environment = f"TIDEGATE_VENV_DIR={tmp_path}/env; export TIDEGATE_VENV_DIR TIDEGATE_LAB_CACHE={tmp_path}/lab\n"
    made = 'mkdir -p "$(environment_of /checkout test)"; echo dpkg | remember_packages'
    done = sh(f"{environment}{made}", tmp_path)
    assert done.stderr.startswith("installed 1 package, ")
    done = sh(f"{environment}clean_up {SETUP.parents[1]}", tmp_path)
    assert done.stderr.splitlines()[-2:] == [
        "installed for it were, and can be removed with apt-get purge:",
        "dpkg",
    ]


def test_a_checkouts_environment_is_removed_and_that_of_another_stays(tmp_path: Path) -> None:
    environment = f"export TIDEGATE_VENV_DIR={tmp_path}/env TIDEGATE_LAB_CACHE={tmp_path}/lab\n"
    checkout = SETUP.parents[1]
    made = f'mkdir -p "$(environment_of {checkout} test)" "$(environment_of /other test)"'
    done = sh(f"{environment}{made}; clean_up {checkout}; ls {tmp_path}/env | wc -l", tmp_path)
    assert (done.returncode, done.stdout.strip()) == (0, "1"), done.stderr


def test_without_a_network_there_is_one_error_with_what_to_do(tmp_path: Path) -> None:
    nothing = "export PIP_INDEX_URL=http://127.0.0.1:9/ PIP_RETRIES=0 PIP_FIND_LINKS= PIP_CONFIG_FILE=/dev/null"
    done = sh(f"{nothing}\nmake_environment {tmp_path}/env 'tidegate-no-such-thing'", tmp_path)
    assert done.returncode == 1
    what, to_do = done.stderr.splitlines()[1:]
    assert what.startswith("pip cannot install what is needed: ")
    assert to_do.startswith("  to do: make sure that the Python package index can be reached")
    assert (tmp_path / "env/log").exists()
