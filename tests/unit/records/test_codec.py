"""The tables of the records, and documents that earlier agents wrote."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, cast, get_args, get_type_hints

import pytest

from tests.unit.records.samples import SAMPLES
from tidegate.records import codec
from tidegate.records.codec import decode, encode
from tidegate.records.model import Records
from tidegate.records.table import EXTRA, Table

FIXTURES = Path(__file__).parent / "fixtures"
"""Documents as earlier agents wrote them; see :mod:`.samples`."""

TABLES: dict[str, Table[Any]] = {name: value for name, value in vars(codec).items() if isinstance(value, Table)}
MAPPINGS = {"gates", "first_seen"}
"""Objects whose keys are data, so that none of them is unknown."""


def document(name: str) -> dict[str, object]:
    """A fixture as JSON values."""
    return cast(dict[str, object], json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8")))


# --------------------------------------------------------------------------- documents of earlier agents


def shared(written: object, given: object) -> object:
    """``written`` without the keys that ``given`` has not: those of later fields. The order stays."""
    match written, given:
        case dict(), dict():
            ours, theirs = cast(dict[str, object], written), cast(dict[str, object], given)
            return {key: shared(value, theirs[key]) for key, value in ours.items() if key in theirs}
        case list(), list():
            pairs = zip(cast(list[object], written), cast(list[object], given), strict=True)
            return [shared(our, their) for our, their in pairs]
        case _:
            return written


@pytest.mark.parametrize("name", SAMPLES)
def test_records_that_an_earlier_agent_wrote_are_read(name: str) -> None:
    assert decode(document(name)) == SAMPLES[name]


@pytest.mark.parametrize("name", [*SAMPLES, "newer"])
def test_records_that_another_agent_wrote_are_written_as_they_were(name: str) -> None:
    """``newer`` has unknown fields and words: those of an agent to come."""
    given = document(name)
    written = encode(decode(copy.deepcopy(given)))
    assert json.dumps(shared(written, given), indent=1) == json.dumps(given, indent=1), "the order is the same, too"


def objects(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The paths of all JSON objects in ``value`` whose keys are names of fields."""
    if isinstance(value, list):
        for index, item in enumerate(cast(list[object], value)):
            yield from objects(item, (*path, index))
    elif isinstance(value, dict) and path[-1:] not in {(name,) for name in MAPPINGS}:
        yield path
        for key, item in cast(dict[str, object], value).items():
            yield from objects(item, (*path, key))


@pytest.mark.parametrize("path", list(objects(document("filled"))), ids=str)
def test_an_unknown_field_is_kept_in_every_object(path: tuple[str | int, ...]) -> None:
    given = document("filled")
    place: Any = given
    for part in path:
        place = place[part]
    place["from_the_future"] = {"deep": [1, {"deeper": None}]}
    assert shared(encode(decode(copy.deepcopy(given))), given) == given


# --------------------------------------------------------------------------- the tables are complete


def record_types(annotation: object) -> Iterator[type[Any]]:
    """The dataclasses that ``annotation`` mentions."""
    if isinstance(annotation, type) and is_dataclass(annotation):
        yield annotation
    for argument in get_args(annotation):
        yield from record_types(argument)


def reachable(record: type[Any]) -> set[type[Any]]:
    """``record`` and all record types inside it."""
    inner = (found for hint in get_type_hints(record).values() for found in record_types(hint))
    return {record}.union(*(reachable(found) for found in inner))


def test_every_record_type_has_one_table() -> None:
    described = [table.record for table in TABLES.values()]
    assert set(described) == reachable(Records)
    assert len(described) == len(set(described))


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
def test_every_field_is_in_its_table_once(table: Table[Any]) -> None:
    kept = {field.name for field in fields(table.record)} - {EXTRA} - table.omitted
    assert sorted(row.field for row in table.rows) == sorted(kept)
    assert len({row.key for row in table.rows}) == len(table.rows)


def records_in(value: object) -> Iterator[object]:
    """All records inside ``value``, and itself."""
    if isinstance(value, tuple):
        for item in cast(tuple[object, ...], value):
            yield from records_in(item)
    elif is_dataclass(value):
        yield value
        for field in fields(value):
            yield from records_in(getattr(value, field.name))


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
def test_some_sample_sets_each_field_to_another_value_than_its_default(table: Table[Any]) -> None:
    of_this_type = [found for found in records_in(tuple(SAMPLES.values())) if type(found) is table.record]
    needed = (one.name for one in fields(table.record) if one.default is MISSING and one.default_factory is MISSING)
    default = table.record(**dict.fromkeys(needed))
    for row in table.rows:
        assert any(getattr(found, row.field) != getattr(default, row.field) for found in of_this_type), row.field
