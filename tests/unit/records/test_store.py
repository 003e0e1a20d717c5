"""The records on disk: what can be read, what cannot, and that it is never written over."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakes.builders import attempt, denial, intent, lock_record
from tests.fakes.clock import START
from tidegate.errors import ErrorKind, Failure, TidegateError
from tidegate.records import store as store_module
from tidegate.records.model import Records, Waiting
from tidegate.records.store import FILE_NAME, FileStore, SealedStore

RECORDS = Records(
    intent(), lock_record(), Waiting("1", START, {"fleet_lock": START}), denied=(denial("3"),), history=(attempt(),)
)
SPOILT = [
    (b"", "Expecting value"),
    (b"\x00\xff\xfe\x80", "can't decode|codec|Expecting"),
    (b"{", "Expecting property name"),
    (b"[]", "expected an object, found an array"),
    (b'{"intent": {}}', r"\$.intent: the key '\w+' is missing"),
    (b'{"a":' * 100_000, "recursion|nested|Expecting"),
    (b'{"intent": {"id": ' + b"9" * 5000 + b"}}", "expected a string|digits"),
    (json.dumps({"history": [1]}).encode(), r"\$.history\[0\]"),
]


def test_a_host_without_records_has_empty_ones(tmp_path: Path) -> None:
    assert FileStore(tmp_path).load() == Records()


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    FileStore(tmp_path).save(RECORDS)
    assert FileStore(tmp_path).load() == RECORDS


def test_the_document_is_for_the_agent_and_its_group_alone(tmp_path: Path) -> None:
    FileStore(tmp_path).save(RECORDS)
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(("content", "told"), SPOILT, ids=range(len(SPOILT)))
def test_a_document_that_cannot_be_read_is_an_error_that_names_the_file_and_stays(
    tmp_path: Path, content: bytes, told: str
) -> None:
    path = tmp_path / FILE_NAME
    path.write_bytes(content)
    with pytest.raises(TidegateError, match=told) as caught:
        FileStore(tmp_path).load()
    assert caught.value.kind is ErrorKind.RECORD_UNREADABLE
    assert caught.value.message.startswith(f"{path}: ")
    assert f"mv {path} {path}.broken" in caught.value.remedy
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("written_at", '"0001-01-01T00:00:00+01:00"'),
        ("requested", '{"at": "2026-01-01T00:00:00Z", "boot_secs": 1' + "0" * 400 + "}"),
    ],
)
def test_numbers_and_instants_beyond_all_bounds_are_unreadable_and_no_defect(
    tmp_path: Path, path: str, value: str
) -> None:
    FileStore(tmp_path).save(Records(intent()))
    document = json.loads((tmp_path / FILE_NAME).read_text())
    document["intent"][path] = "@"
    (tmp_path / FILE_NAME).write_text(json.dumps(document).replace('"@"', value))
    with pytest.raises(TidegateError) as caught:
        FileStore(tmp_path).load()
    assert caught.value.kind is ErrorKind.RECORD_UNREADABLE


def test_a_document_too_large_to_be_ours_is_not_read_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FileStore(tmp_path).save(RECORDS)
    monkeypatch.setattr(store_module, "MAX_RECORDS_BYTES", 100)
    with pytest.raises(TidegateError, match="has more than 100 bytes"):
        FileStore(tmp_path).load()


def test_a_path_that_is_no_file_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(TidegateError, match="it is a folder, not a plain file"):
        FileStore(tmp_path).load()


def test_records_that_are_a_link_to_a_missing_file_are_no_new_host(tmp_path: Path) -> None:
    """The disk behind the link is not mounted: an agent that began anew would stage a denied release again."""
    (tmp_path / FILE_NAME).symlink_to(tmp_path / "not-mounted" / FILE_NAME)
    with pytest.raises(TidegateError, match="it is a symbolic link, not a plain file") as caught:
        FileStore(tmp_path).load()
    assert caught.value.kind is ErrorKind.RECORD_UNREADABLE


def test_a_fifo_in_place_of_the_records_does_not_hang_the_start(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / FILE_NAME)
    with pytest.raises(TidegateError, match="it is a FIFO, not a plain file"):
        FileStore(tmp_path).load()


@pytest.mark.parametrize("left", ["link", "fifo", "file"])
def test_a_draft_that_is_something_else_is_replaced(tmp_path: Path, left: str) -> None:
    """A save that had to open it would fail for ever, or block."""
    draft, elsewhere = tmp_path / f".{FILE_NAME}.new", tmp_path / "elsewhere"
    elsewhere.write_text("precious")
    match left:
        case "link":
            draft.symlink_to(elsewhere)
        case "fifo":
            os.mkfifo(draft)
        case _:
            draft.write_text("half of a docu")
    FileStore(tmp_path).save(RECORDS)
    assert FileStore(tmp_path).load() == RECORDS
    assert elsewhere.read_text() == "precious"


def test_a_folder_that_is_gone_is_unwritable_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TidegateError) as caught:
        FileStore(tmp_path / "gone").save(RECORDS)
    assert caught.value.kind is ErrorKind.RECORD_UNWRITABLE
    assert caught.value.message == f"{tmp_path}/gone/{FILE_NAME}: No such file or directory"
    assert str(tmp_path / "gone") in caught.value.remedy


def test_bytes_that_are_no_text_in_a_message_neither_stop_the_agent_nor_spoil_the_document(tmp_path: Path) -> None:
    """A tool's stderr that is not UTF-8 comes as lone surrogates; it ends up in the detail of an attempt."""
    odd = Records(history=(replace(attempt(), detail="caf\udce9 \udcff 日本"),))
    FileStore(tmp_path).save(odd)
    assert FileStore(tmp_path).load() == odd
    (tmp_path / FILE_NAME).read_bytes().decode("utf-8", "strict")


def test_a_hundred_attempts_stay_small(tmp_path: Path) -> None:
    FileStore(tmp_path).save(Records(history=(attempt(),) * 100))
    assert (tmp_path / FILE_NAME).stat().st_size < 64 * 1024


def test_a_sealed_store_holds_nothing_and_never_saves(tmp_path: Path) -> None:
    why = Failure(ErrorKind.RECORD_UNREADABLE, "records.json: broken", "mend it")
    sealed = SealedStore(why)
    assert sealed.load() == Records()
    with pytest.raises(TidegateError) as caught:
        sealed.save(RECORDS)
    assert caught.value.failure == why
    assert list(tmp_path.iterdir()) == []
