"""The whole examination: every area, whatever one of them meets, in its time; and what people and programs read."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.fakes.certificates import Authority
from tidegate.cli import doctor_cmd
from tidegate.cli.entry import cli
from tidegate.doctor import run
from tidegate.doctor.base import Area, Examination, Finding, Host, Status
from tidegate.doctor.reach import Reached, Unreached, reach
from tidegate.doctor.reading import file_facts, first_line, listed
from tidegate.errors import ErrorKind, TidegateError
from tidegate.identity import HostIdentity
from tidegate.net.tls import TlsFiles
from tidegate.settings import Settings

MANUAL = (Path(__file__).resolve().parents[3] / "contrib/man/tidegate.1.md").read_text(encoding="utf-8")
PATIENT = Host(Settings(), (), {}, HostIdentity("default", "x86_64"), None, 1000)
HERE = Area("here")
SERVED_SECS = 5.0


async def fine(_: Host) -> Sequence[Finding]:
    return [HERE.ok("a", "fine")]


async def refused(_: Host) -> Sequence[Finding]:
    raise TidegateError(ErrorKind.BUS_UNREACHABLE, "no bus", "start dbus")


async def broken(_: Host) -> Sequence[Finding]:
    raise ZeroDivisionError("by zero")


async def hanging(_: Host) -> Sequence[Finding]:
    await asyncio.Event().wait()
    return []


async def bad(_: Host) -> Sequence[Finding]:
    return [HERE.problem("b", "bad", "mend it", "seen")]


async def doubtful(_: Host) -> Sequence[Finding]:
    return [HERE.warning("c", "doubtful", "look")]


def examined(**areas: Examination) -> tuple[Finding, ...]:
    return asyncio.run(run.examine(PATIENT, areas, area_secs=0.05))


def test_an_area_that_cannot_be_looked_at_is_a_finding_and_takes_no_other_along() -> None:
    found = examined(first=refused, second=broken, third=hanging, fourth=fine)
    assert [(one.area, one.status) for one in found] == [
        ("first", Status.UNKNOWN), ("second", Status.UNKNOWN), ("third", Status.UNKNOWN), ("here", Status.OK),
    ]  # fmt: skip
    assert "no bus" in found[0].message
    assert "ZeroDivisionError: by zero" in found[1].message
    assert "within 0.05 s" in found[2].message
    assert all(one.remedy for one in found[:3])


@pytest.mark.parametrize(
    ("areas", "worst"),
    [
        ([fine], Status.OK),
        ([fine, refused], Status.UNKNOWN),
        ([refused, doubtful, fine], Status.WARNING),
        ([doubtful, bad, refused], Status.PROBLEM),
        ([], Status.OK),
    ],
)
def test_the_verdict_is_the_worst_that_was_seen(areas: list[Examination], worst: Status) -> None:
    assert run.worst(examined(**{str(number): area for number, area in enumerate(areas)})) is worst


def test_the_document_has_what_the_manual_promises() -> None:
    document = run.document(examined(x=bad, y=fine), PATIENT)
    assert document["verdict"] == "problem"
    assert document["counts"] == {"ok": 1, "warning": 0, "problem": 1, "unknown": 0}
    assert json.loads(json.dumps(document))["findings"][0] == {
        "area": "here", "check": "b", "status": "problem", "message": "bad", "evidence": ["seen"], "remedy": "mend it",
    }  # fmt: skip
    _, _, section = MANUAL.partition("\n## DOCTOR\n")
    section = section.partition("\n## ")[0]
    for key in (*document, "area", "check", "status", "message", "evidence", "remedy", *Status, *run.AREAS):
        assert f"`{key}`" in section, key


def run_command(monkeypatch: pytest.MonkeyPatch, *arguments: str, **areas: Examination) -> tuple[int, str]:
    found = examined(**areas)

    async def told(_: Host) -> tuple[Finding, ...]:
        return found

    with monkeypatch.context() as patched:
        patched.setattr(run, "examine", told)
        done = CliRunner().invoke(cli, ["doctor", *arguments], catch_exceptions=False)
    assert done.stderr == ""
    return done.exit_code, done.stdout


def test_only_a_problem_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_command(monkeypatch, x=fine)[0] == 0
    assert run_command(monkeypatch, x=doubtful, y=refused)[0] == 0
    assert run_command(monkeypatch, x=bad)[0] == 1
    code, out = run_command(monkeypatch, "--json", x=bad)
    assert (code, json.loads(out)["verdict"]) == (1, "problem")


def test_people_read_what_is_wrong_what_it_rests_on_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    _, out = run_command(monkeypatch, x=fine, y=bad)
    assert out.splitlines() == [
        "PROBLEM  here  bad",
        "               seen",
        "               to do: mend it",
        "ok       here  fine",
        "",
        "1 problem, 0 warnings, 0 unknown, 1 ok.",
    ]
    assert run_command(monkeypatch, x=fine)[1].endswith("No problems: 1 ok.\n")
    assert run_command(monkeypatch, x=fine, y=refused)[1].endswith("No problems: 1 ok, 1 unknown.\n")


def test_every_status_has_its_mark() -> None:
    assert set(doctor_cmd.MARKS) == set(Status)


@pytest.mark.parametrize("shipped", run.AREAS.values())
def test_areas_are_looked_at_by_name(shipped: Examination) -> None:
    assert shipped.__name__ == "examine"


def test_files_are_seen_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text('{"a": 1}')
    file.chmod(0o640)
    assert (file_facts(file).octal, file_facts(file).is_folder) == ("0640", False)
    assert not file_facts(tmp_path / "b").exists
    assert file_facts(file / "below").error
    assert first_line(file) == '{"a": 1}'
    assert first_line(tmp_path / "b") == ""
    assert listed(tmp_path) == [file]
    assert listed(file) == []


async def reached(*, tls: ssl.SSLContext | None, url: str, files: TlsFiles) -> tuple[Reached | Unreached, bytes]:
    """What came of it, and what the server was told."""
    heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.set_result(await reader.read())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        port = server.sockets[0].getsockname()[1]
        answer = await reach(url.format(port), files)
        async with asyncio.timeout(SERVED_SECS):
            said = await heard if isinstance(answer, Reached) else b""
    return answer, said


def test_a_server_is_reached_without_a_word() -> None:
    answer, said = asyncio.run(reached(tls=None, url="http://127.0.0.1:{}/lock", files=TlsFiles()))
    assert isinstance(answer, Reached)
    assert (answer.expires_at, said) == (None, b"")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/", "https://127.0.0.1:1/", "nonsense", "http://[::1", "http://h:99999/", "ftp://h/"]
)
def test_a_server_that_cannot_be_reached_says_why(url: str) -> None:
    answer = asyncio.run(reach(url))
    assert isinstance(answer, Unreached)
    assert answer.why


def served_by(authority: Authority, *alternatives: str) -> ssl.SSLContext:
    pair = authority.issue("server", ",".join(alternatives))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    return context


def test_a_certificate_is_checked_and_its_end_is_told(tmp_path: Path) -> None:
    authority, other = Authority(tmp_path), Authority(tmp_path, "other")
    tls = served_by(authority, "IP:127.0.0.1")
    answer, said = asyncio.run(reached(tls=tls, url="https://127.0.0.1:{}/", files=TlsFiles(authority.file)))
    assert isinstance(answer, Reached)
    assert answer.expires_at is not None
    assert said == b""
    answer, _ = asyncio.run(reached(tls=tls, url="https://127.0.0.1:{}/", files=TlsFiles(other.file)))
    assert isinstance(answer, Unreached)
    assert "certificate is not trusted" in answer.why
    wrong_name = served_by(authority, "IP:127.0.0.2")
    answer, _ = asyncio.run(reached(tls=wrong_name, url="https://127.0.0.1:{}/", files=TlsFiles(authority.file)))
    assert isinstance(answer, Unreached)


def test_authorities_that_cannot_be_read_are_why() -> None:
    answer = asyncio.run(reach("https://127.0.0.1:1/", TlsFiles(ca_file="/nowhere.pem")))
    assert isinstance(answer, Unreached)
    assert "No such file" in answer.why
