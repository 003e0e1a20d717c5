"""The owner of a host, and the hosts that `auto` refuses."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from pathlib import Path

import pytest

from tidegate.engines.detect import engine_for, read_bootc, read_facts
from tidegate.engines.facts import BootcAnswer, HostFacts, Owner, owner_of
from tidegate.errors import ErrorKind, TidegateError

PLAIN = HostFacts(ostree_booted=True, ostree_installed=True, rpm_ostree=False, bootc=BootcAnswer.ABSENT)
# bootc 1.16 on a machine that is not its host.
NOT_A_BOOTC_HOST = json.dumps(
    {
        "apiVersion": "org.containers.bootc/v1",
        "kind": "BootcHost",
        "metadata": {"name": "host"},
        "spec": {"image": None, "bootOrder": "default"},
        "status": {"staged": None, "booted": None, "rollback": None, "rollbackQueued": False, "type": None},
    }
)


def test_a_plain_ostree_host() -> None:
    assert engine_for(PLAIN).name == "ostree"


def test_bootc_beside_a_plain_ostree_host_changes_nothing() -> None:
    assert engine_for(dataclasses.replace(PLAIN, bootc=BootcAnswer.NOT_ITS_HOST)).name == "ostree"


@pytest.mark.parametrize(
    ("facts", "owner", "words"),
    [
        (dataclasses.replace(PLAIN, rpm_ostree=True), Owner.RPM_OSTREE, "updated by rpm-ostree"),
        (dataclasses.replace(PLAIN, bootc=BootcAnswer.ITS_HOST), Owner.BOOTC, "updated by bootc"),
        (
            dataclasses.replace(PLAIN, rpm_ostree=True, bootc=BootcAnswer.ITS_HOST),
            Owner.RPM_OSTREE,
            "updated by rpm-ostree",
        ),
        (dataclasses.replace(PLAIN, bootc=BootcAnswer.UNREADABLE), Owner.POSSIBLY_BOOTC, "no usable answer"),
        (
            dataclasses.replace(PLAIN, ostree_installed=False),
            Owner.OSTREE_WITHOUT_COMMAND,
            "ostree command is missing",
        ),
        (dataclasses.replace(PLAIN, ostree_booted=False), Owner.NONE, "not booted from OSTree"),
        (dataclasses.replace(PLAIN, ostree_booted=False, rpm_ostree=True), Owner.NONE, "not booted from OSTree"),
    ],
)
def test_hosts_that_are_refused(facts: HostFacts, owner: Owner, words: str) -> None:
    assert owner_of(facts) is owner
    with pytest.raises(TidegateError, match=words) as caught:
        engine_for(facts)
    assert caught.value.kind is ErrorKind.ENGINE_UNSUPPORTED_HOST
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (NOT_A_BOOTC_HOST, BootcAnswer.NOT_ITS_HOST),
        (NOT_A_BOOTC_HOST.replace('"type": null', '"type": "bootcHost"'), BootcAnswer.ITS_HOST),
        ("", BootcAnswer.UNREADABLE),
        ("[]", BootcAnswer.UNREADABLE),
        ('{"status": null}', BootcAnswer.UNREADABLE),
    ],
)
def test_what_bootc_says(text: str, answer: BootcAnswer) -> None:
    assert read_bootc(text) is answer


def plant(root: Path, *files: str, script: str = "") -> Path:
    """Empty files (or the given script) below a root."""
    for name in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(script, encoding="utf-8")
        path.chmod(0o755)
    return root


def test_facts_of_an_empty_root(tmp_path: Path) -> None:
    facts = asyncio.run(read_facts(tmp_path))
    assert facts == HostFacts(ostree_booted=False, ostree_installed=False, rpm_ostree=False, bootc=BootcAnswer.ABSENT)


def test_facts_of_an_rpm_ostree_host(tmp_path: Path) -> None:
    plant(tmp_path, "run/ostree-booted", "usr/bin/ostree", "usr/bin/rpm-ostree")
    facts = asyncio.run(read_facts(tmp_path))
    assert facts == HostFacts(ostree_booted=True, ostree_installed=True, rpm_ostree=True, bootc=BootcAnswer.ABSENT)


@pytest.mark.parametrize(
    ("script", "answer"),
    [
        (f"#!/bin/sh\necho '{NOT_A_BOOTC_HOST}'\n", BootcAnswer.NOT_ITS_HOST),
        ("#!/bin/sh\necho 'error: not root' >&2; exit 1\n", BootcAnswer.UNREADABLE),
    ],
)
def test_bootc_is_asked_where_it_is_installed(tmp_path: Path, script: str, answer: BootcAnswer) -> None:
    plant(tmp_path, "usr/bin/bootc", script=script)
    assert asyncio.run(read_facts(tmp_path)).bootc is answer
