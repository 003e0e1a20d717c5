"""The host's identity: its id and platform, and warnings about them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tidegate.identity import (
    HostIdentity,
    Identity,
    app_specific_id,
    basearch_of,
    boot_options,
    identify,
    platform_of,
)

MACHINE = "1c09ca98649c4c7abc779cd04c96812e"
NODE = "e0f3745b108f471cbd4883c6fbed8cdd"


def host_at(root: Path, machine_id: str | None = MACHINE, cmdline: str = "quiet", container: str | None = None) -> Path:
    for folder in ("etc", "proc/1", "run/systemd"):
        (root / folder).mkdir(parents=True)
    if machine_id is not None:
        (root / "etc/machine-id").write_text(machine_id, encoding="utf-8")
    (root / "proc/cmdline").write_text(f"{cmdline}\n", encoding="utf-8")
    if container is not None:
        (root / "run/systemd/container").write_text("systemd-nspawn\n", encoding="utf-8")
        (root / "proc/1/cmdline").write_bytes(container.replace(" ", "\0").encode() + b"\0")
    return root


def test_the_id_of_a_host_is_the_one_that_zincati_gives_it(tmp_path: Path) -> None:
    """The vector of poseidon/fleetlock, internal/nodes_test.go, which looks for nodes by these ids."""
    assert identify(Identity(), host_at(tmp_path)).node_uuid == "978a225b3d7b40e9acd7ce9b62f68444"


def test_all_that_is_known_of_a_host(tmp_path: Path) -> None:
    host_at(tmp_path, cmdline="BOOT_IMAGE=/vmlinuz ignition.platform.id=qemu quiet")
    found = identify(Identity(group="workers", stream="stable", rollout_wariness=0.25), tmp_path)
    assert found == HostIdentity(
        group="workers",
        basearch=basearch_of(os.uname().machine),
        platform="qemu",
        stream="stable",
        node_uuid=app_specific_id(bytes.fromhex(MACHINE)).hex(),
        rollout_wariness=0.25,
    )
    assert found.node_uuid != MACHINE


@pytest.mark.parametrize(
    ("machine_id", "doubt"),
    [
        (None, "etc/machine-id cannot be read: "),
        ("", "etc/machine-id is empty: this host has not been given a machine id at its first boot"),
        ("\n", "etc/machine-id is empty"),
        ("uninitialized\n", "etc/machine-id says uninitialized: the first boot is not over"),
        ("0" * 32, "etc/machine-id has no valid machine id"),
        ("COFFEE", "etc/machine-id has no valid machine id"),
    ],
)
def test_a_host_without_a_machine_id_has_no_id_and_says_why(tmp_path: Path, machine_id: str | None, doubt: str) -> None:
    found = identify(Identity(), host_at(tmp_path, machine_id))
    assert found.node_uuid is None
    (said,) = found.doubts
    assert said.startswith("this host has no id: ")
    assert doubt in said
    assert "identity.node_uuid" in said


def test_a_machine_id_that_is_laid_over_for_this_boot_is_doubted(tmp_path: Path) -> None:
    host_at(tmp_path)
    os.link(tmp_path / "etc/machine-id", tmp_path / "run/machine-id")  # one file, as under a bind mount
    found = identify(Identity(), tmp_path)
    assert found.node_uuid is not None
    assert "is transient" in found.doubts[0]


def test_a_machine_id_that_was_committed_is_not(tmp_path: Path) -> None:
    (host_at(tmp_path) / "run/machine-id").write_text(MACHINE, encoding="utf-8")
    assert identify(Identity(), tmp_path).doubts == ()


def test_an_id_that_is_set_leaves_no_doubts(tmp_path: Path) -> None:
    found = identify(Identity(node_uuid="E0F3745B-108F-471C-BD48-83C6FBED8CDD"), host_at(tmp_path, None))
    assert (found.node_uuid, found.doubts) == (NODE, ())


# --------------------------------------------------------------------------- platform and architecture


@pytest.mark.parametrize(
    ("cmdline", "platform"),
    [
        ("", ""),
        ("foo=bar", ""),
        ("ignition.platform.id", ""),
        ("ignition.platform.id=", ""),
        ("ignition.platform.id=ec2", "ec2"),
        ("foo=bar ignition.platform.id=ec2\n", "ec2"),
        ("ignition.platform.id=\tec2", ""),
        ("ignition.platform.id=ec2 foo=bar", "ec2"),
        ("'ignition.platform.id=ec2'", "ec2"),
        ("ignition.platform.id= ignition.platform.id=metal ignition.platform.id=aws", "metal"),
        ("ignition.platform.id=../x", ""),
        ("ignition.platform.ids=ec2", ""),
    ],
)
def test_the_platform_is_on_the_kernels_command_line(tmp_path: Path, cmdline: str, platform: str) -> None:
    assert platform_of(boot_options(host_at(tmp_path, cmdline=cmdline))) == platform


def test_in_a_container_the_options_are_those_of_its_first_process(tmp_path: Path) -> None:
    machine = "ignition.platform.id=metal"
    host_at(tmp_path, cmdline=machine, container="/usr/lib/systemd/systemd ignition.platform.id=nspawn")
    assert platform_of(boot_options(tmp_path)) == "nspawn"


def test_in_a_container_without_options_the_machines_are_not_taken(tmp_path: Path) -> None:
    host_at(tmp_path, cmdline="ignition.platform.id=metal", container="/sbin/init")
    assert platform_of(boot_options(tmp_path)) == ""


def test_where_nothing_can_be_read_there_is_no_platform(tmp_path: Path) -> None:
    assert boot_options(tmp_path) == ()


@pytest.mark.parametrize(
    ("machine", "basearch"),
    [("x86_64", "x86_64"), ("aarch64", "aarch64"), ("ppc64le", "ppc64le"), ("armv7l", "armhfp"), ("i686", "i386")],
)
def test_architectures_are_called_as_releases_are_sorted(machine: str, basearch: str) -> None:
    assert basearch_of(machine) == basearch


# --------------------------------------------------------------------------- variables and the stream


def test_only_what_is_known_can_be_put_into_an_address() -> None:
    assert HostIdentity("g", "x86_64").variables == {"group": "g", "basearch": "x86_64"}
    known = HostIdentity("g", "x86_64", "qemu", "next", NODE, 0.5).variables
    assert known == {"group": "g", "basearch": "x86_64", "platform": "qemu", "stream": "next"}


def test_the_stream_of_the_settings_goes_before_that_of_the_engine() -> None:
    host = HostIdentity("g", "x86_64")
    assert host.following("stable").stream == "stable"
    assert host.following(None).stream is None
    assert host.following("stable").following("next").stream == "stable"
    assert host.following("../../x").stream is None, "it is put into URLs"
