"""Dataclasses as JSON objects: defaults, null, names of keys, nesting and unknown fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from tidegate.jsonread import Node, ShapeError
from tidegate.records.table import INTEGER, TEXT, Row, Table, array, inline, nested, nullable


@dataclass(frozen=True)
class Point:
    """Without room for unknown fields."""

    x: int
    y: int = 0


@dataclass(frozen=True)
class Path:
    """A nested, an inline and a list of records."""

    start: Point
    origin: Point
    label: str = "none"
    steps: tuple[Path, ...] = ()
    extra: Mapping[str, object] = field(default_factory=dict[str, object])


POINT = Table(Point, Row("x", INTEGER), Row("y", INTEGER, "height"))
LEAF = Table(Path, Row("start", nested(POINT), "from"), Row("origin", inline(POINT)), omitted={"label", "steps"})
PATH = Table(Path, *LEAF.rows, Row("label", nullable(TEXT)), Row("steps", array(LEAF)))


def decoded(**values: object) -> Path:
    return PATH.decode(Node.root({"from": {"x": 1}, "x": 2, **values}))


def test_a_key_may_be_missing_if_the_field_has_a_default() -> None:
    assert decoded() == Path(Point(1), Point(2))
    with pytest.raises(ShapeError, match=r"\$\.from: the key 'x' is missing"):
        decoded(**{"from": {"height": 1}})


def test_a_key_that_is_required_may_not_be_missing_whatever_the_default() -> None:
    table = Table(Point, Row("x", INTEGER), Row("y", INTEGER, required=True))
    with pytest.raises(ShapeError, match="the key 'y' is missing"):
        table.decode(Node.root({"x": 1}))


def test_null_stands_for_the_default_where_it_is_allowed() -> None:
    assert decoded(label=None).label == "none"
    with pytest.raises(ShapeError, match="expected a whole number, found null"):
        decoded(height=None)


def test_keys_are_written_in_the_order_of_the_rows_under_their_names() -> None:
    written = PATH.encode(Path(Point(1, 2), Point(3, 4), "l", (Path(Point(5), Point(6)),)))
    assert list(written.items()) == [
        ("from", {"x": 1, "height": 2}),
        ("x", 3),
        ("height", 4),
        ("label", "l"),
        ("steps", [{"from": {"x": 5, "height": 0}, "x": 6, "height": 0}]),
    ]


def test_a_record_keeps_its_unknown_fields_and_those_of_objects_that_cannot() -> None:
    path = decoded(**{"from": {"x": 1, "z": 9}, "colour": "red", "steps": [{"from": {"x": 1}, "x": 2, "z": 8}]})
    assert path.extra == {"from": {"z": 9}, "colour": "red"}
    assert path.steps[0].extra == {"z": 8}
    assert PATH.encode(path) == {
        "colour": "red",
        "from": {"x": 1, "height": 0, "z": 9},
        "x": 2,
        "height": 0,
        "label": "none",
        "steps": [{"z": 8, "from": {"x": 1, "height": 0}, "x": 2, "height": 0}],
    }


def test_an_array_of_records_that_would_lose_unknown_fields_is_a_mistake() -> None:
    with pytest.raises(TypeError, match="Point has no field 'extra'"):
        array(POINT)
