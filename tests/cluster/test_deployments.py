"""The examples in ``contrib/coordinator``: they parse, are complete, and their configuration is valid.

Neither compose nor Kubernetes is here, so their schemas are not; the parts that are ours or etcd's are tried for real.
"""

from __future__ import annotations

import importlib
import re
import shutil
import socket
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from tests.cluster.nodes import ETCD, Node
from tests.e2e.lab.waiting import wait_for

yaml: Any = importlib.import_module("yaml")  # it has no types; the test extra brings it (schemathesis)

CHECKOUT = Path(__file__).resolve().parents[2]
EXAMPLES = CHECKOUT / "contrib" / "coordinator"
MEMBERS = ("etcd-0", "etcd-1", "etcd-2")
COORDINATORS = ("coordinator-0", "coordinator-1", "coordinator-2")
SECRET = re.compile(r"PRIVATE KEY|password\s*[:=]|kind: Secret|[0-9A-Fa-f]{40}", re.IGNORECASE)

MOST_EXPOSED = 20
"""Tenths of systemd's measure, which changes between its versions: 11 in 252, most of it for being on the network."""

COMPOSE: Mapping[str, Any] = yaml.safe_load((EXAMPLES / "compose.yaml").read_text())
OBJECTS: tuple[Mapping[str, Any], ...] = tuple(yaml.safe_load_all((EXAMPLES / "kubernetes.yaml").read_text()))


def named(kind: str, name: str) -> Any:
    """An object in ``kubernetes.yaml``."""
    return next(one for one in OBJECTS if one["kind"] == kind and one["metadata"]["name"] == name)


def container(kind: str, name: str) -> Any:
    (only,) = named(kind, name)["spec"]["template"]["spec"]["containers"]
    return only


def kubernetes_environment() -> dict[str, str]:
    return {one["name"]: str(one.get("value")) for one in container("StatefulSet", "etcd")["env"]}


@pytest.mark.parametrize("name", ["compose.yaml", "kubernetes.yaml", "README.md"])
def test_no_example_has_a_secret_in_it(name: str) -> None:
    assert not SECRET.search((EXAMPLES / name).read_text())


def test_compose_starts_three_of_each_and_nothing_else() -> None:
    assert set(COMPOSE["services"]) == {"certificates", *MEMBERS, *COORDINATORS}
    assert set(COMPOSE["volumes"]) == {"certificates", *MEMBERS}
    for name, service in COMPOSE["services"].items():
        sources = [volume.partition(":")[0] for volume in service["volumes"]]
        assert set(sources) <= set(COMPOSE["volumes"]), name
        assert {one["source"] for one in service.get("configs", ())} <= set(COMPOSE["configs"]), name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
    for name in COORDINATORS:
        service = COMPOSE["services"][name]
        assert "https://localhost:3333/healthz" in service["healthcheck"]["test"][-1]
        assert service["ports"][0].startswith("127.0.0.1:"), "open to this machine only"


def test_compose_members_are_each_other_and_differ_in_their_names_only() -> None:
    cluster = COMPOSE["services"][MEMBERS[0]]["environment"]["ETCD_INITIAL_CLUSTER"]
    for name in MEMBERS:
        environment = COMPOSE["services"][name]["environment"]
        assert environment["ETCD_NAME"] == name
        assert f"{name}={environment['ETCD_INITIAL_ADVERTISE_PEER_URLS']}" in cluster.split(",")
        assert environment["ETCD_INITIAL_CLUSTER"] == cluster


def test_kubernetes_has_three_of_each_that_may_go_one_at_a_time() -> None:
    for kind, name in (("StatefulSet", "etcd"), ("Deployment", "coordinator")):
        spec = named(kind, name)["spec"]
        labels = spec["template"]["metadata"]["labels"]
        assert (spec["replicas"], spec["selector"]["matchLabels"]) == (3, labels)
        budget = named("PodDisruptionBudget", name)["spec"]
        assert (budget["maxUnavailable"], budget["selector"]["matchLabels"]) == (1, labels)
    assert named("Service", "etcd")["spec"]["selector"] == {"app": "etcd"}
    assert named("Service", "fleetlock")["spec"]["selector"] == {"app": "coordinator"}
    assert all(one["metadata"].get("namespace", "tidegate") == "tidegate" for one in OBJECTS)


@pytest.mark.parametrize(("kind", "name"), [("StatefulSet", "etcd"), ("Deployment", "coordinator")])
def test_kubernetes_pods_are_restricted_and_their_parts_belong_together(kind: str, name: str) -> None:
    pod, only = named(kind, name)["spec"]["template"]["spec"], container(kind, name)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert only["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    volumes = {one["name"] for one in pod["volumes"]}
    claims = {one["metadata"]["name"] for one in named(kind, name)["spec"].get("volumeClaimTemplates", ())}
    assert {one["name"] for one in only["volumeMounts"]} == volumes | claims
    ports = {one["name"] for one in only["ports"]}
    assert only["readinessProbe"]["httpGet"]["port"] in ports
    assert only["livenessProbe"]["tcpSocket"]["port"] in ports, "a restart does not bring a lost store back"


def test_a_coordinator_is_ready_while_healthz_says_so() -> None:
    probe = container("Deployment", "coordinator")["readinessProbe"]["httpGet"]
    assert (probe["path"], probe["scheme"]) == ("/healthz", "HTTPS")


def configurations() -> Iterator[tuple[str, str]]:
    yield "compose", COMPOSE["configs"]["coordinator"]["content"]
    yield "kubernetes", named("ConfigMap", "coordinator")["data"]["50-site.toml"]


@pytest.mark.parametrize(("name", "content"), [*configurations()])
def test_the_coordinators_configuration_is_accepted(name: str, content: str, tmp_path: Path) -> None:
    assert name
    (tmp_path / "50-site.toml").write_text(content)
    command = [sys.executable, "-m", "tidegate", "coordinator", "check", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_both_examples_tell_etcd_the_same() -> None:
    compose = COMPOSE["services"][MEMBERS[0]]["environment"]
    kubernetes = kubernetes_environment()
    assert set(compose) == set(kubernetes)
    paths = {key for key in compose if key.endswith("_FILE")}
    assert {key: compose[key] for key in paths} == {key: kubernetes[key] for key in paths}


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_the_unit_is_sound_and_shut_off(tmp_path: Path) -> None:
    unit = tmp_path / "tidegate-coordinator.service"
    text = (CHECKOUT / "systemd" / unit.name).read_text()
    unit.write_text(text.replace("/usr/bin/tidegate", sys.executable))  # the program that is not installed here
    for command in (["verify", "--man=no"], ["security", "--offline=yes", f"--threshold={MOST_EXPOSED}", "--no-pager"]):
        done = subprocess.run(
            ["systemd-analyze", *command, unit], capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stdout


def free_ports(number: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


class Translated:
    """Names and ports of the example on this machine, where there is one address for all."""

    def __init__(self, certificates: Path, data: Path) -> None:
        self.client: dict[str, int] = dict(zip(MEMBERS, free_ports(3), strict=True))
        self.peer: dict[str, int] = dict(zip(MEMBERS, free_ports(3), strict=True))
        self.lock = free_ports(1)[0]
        self._certificates = certificates
        self._data = data

    def text(self, text: str) -> str:
        for name in MEMBERS:
            text = text.replace(f"{name}:2379", f"127.0.0.1:{self.client[name]}")
            text = text.replace(f"{name}:2380", f"127.0.0.1:{self.peer[name]}")
        return text.replace("*:3333", f"127.0.0.1:{self.lock}").replace("/certificates/", f"{self._certificates}/")

    def environment(self, name: str) -> dict[str, str]:
        found = cast(dict[str, object], COMPOSE["services"][name]["environment"])
        own = {key: self.text(str(value)) for key, value in found.items()} | {"ETCD_DATA_DIR": str(self._data / name)}
        own["ETCD_LISTEN_CLIENT_URLS"] = f"https://127.0.0.1:{self.client[name]}"
        own["ETCD_LISTEN_PEER_URLS"] = f"https://127.0.0.1:{self.peer[name]}"
        own["ETCD_LISTEN_METRICS_URLS"] = f"http://127.0.0.1:{free_ports(1)[0]}"
        return own


@pytest.mark.skipif(not shutil.which("openssl") or not Path(ETCD).exists(), reason="needs openssl and etcd-server")
def test_the_certificates_and_settings_of_compose_make_a_cluster_that_locks(tmp_path: Path) -> None:
    certificates, config = tmp_path / "certificates", tmp_path / "coordinator.d"
    subprocess.run(["sh", EXAMPLES / "certificates.sh", certificates, "coordinator-0"], check=True, timeout=60)
    here = Translated(certificates, tmp_path)
    config.mkdir()
    (config / "50-site.toml").write_text(here.text(COMPOSE["configs"]["coordinator"]["content"]))
    nodes = [Node(name, [ETCD], "", tmp_path / f"{name}.log", (), here.environment(name)) for name in MEMBERS]
    serve = [sys.executable, "-m", "tidegate", "coordinator", "serve", "--config", str(config)]
    nodes.append(Node("lock", serve, "", tmp_path / "lock.log", (), {"RUNTIME_DIRECTORY": str(tmp_path)}))
    try:
        for node in nodes:
            node.start()
        assert granted(here.lock, certificates / "ca.crt") == 200, nodes[-1].last_words()
    finally:
        for node in nodes:
            node.kill()


def granted(port: int, authority: Path) -> int:
    """A lock, once the coordinator is there and has found the store; the reply's status."""
    trusted = ssl.create_default_context(cafile=str(authority))
    body = b'{"client_params":{"id":"00000000000000000000000000000001","group":"workers"}}'
    url, header = f"https://localhost:{port}/v1/pre-reboot", {"fleet-lock-protocol": "true"}

    def ask() -> int | None:
        try:
            request = urllib.request.Request(url, body, header)
            with urllib.request.urlopen(request, timeout=10, context=trusted) as reply:
                return int(reply.status)
        except OSError:
            return None

    return wait_for(ask, "a slot is granted", deadline_secs=40)
