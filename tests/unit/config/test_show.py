"""Output, reference and shipped snippets agree with the declaration of the keys."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contrib.reference import updated
from tidegate.calendar.exclusions import parse_exclusion
from tidegate.calendar.spec import WindowSpec
from tidegate.config.keys import keys_of
from tidegate.config.reference import reference
from tidegate.config.show import as_json, as_toml
from tidegate.discovery.settings import CincinnatiSettings
from tidegate.gates.periodic import PeriodicSettings
from tidegate.gates.registry import strategies
from tidegate.identity import Identity
from tidegate.settings import Settings, Timing, Updates, load

REPOSITORY = Path(__file__).parents[3]
SHIPPED = REPOSITORY / "config.d"
MANUAL = REPOSITORY / "contrib/man/tidegate-config.5.md"

windows = st.builds(
    WindowSpec,
    st.lists(st.integers(0, 6), min_size=1, max_size=3, unique=True).map(tuple),
    st.integers(0, 1439),
    st.integers(1, 10080),
)
exclusions = st.sampled_from(("2026-01-01", "2026-01-01..2026-02-01", "FREQ=YEARLY;BYMONTH=7;BYMONTHDAY=4"))


def settings_with(periodic: PeriodicSettings, **core: object) -> Settings:
    return Settings(**core).having(periodic)  # type: ignore[arg-type]  # as hypothesis calls it


some_settings = st.builds(
    settings_with,
    timing=st.builds(Timing, st.integers(1, 10**6)),
    identity=st.builds(
        Identity,
        group=st.from_regex(r"\A[a-zA-Z0-9.-]{1,9}\Z"),
        rollout_wariness=st.none() | st.floats(0, 1),
    ),
    cincinnati=st.builds(CincinnatiSettings, st.sampled_from(("", "https://x.example/${stream}"))),
    updates=st.builds(
        Updates,
        enabled=st.booleans(),
        allow_downgrade=st.booleans(),
        strategy=st.lists(st.sampled_from(("immediate", "marker_file")), min_size=1, max_size=2, unique=True).map(
            tuple
        ),
    ),
    periodic=st.builds(
        PeriodicSettings,
        windows=st.lists(windows, max_size=3).map(tuple),
        exclude=st.lists(exclusions.map(parse_exclusion), max_size=2).map(tuple),
        spread_minutes=st.integers(0, 60),
    ),
)


@settings(max_examples=25)
@given(some_settings)
def test_what_is_shown_reads_back_as_the_same_settings(shown: Settings) -> None:
    with TemporaryDirectory() as folder:
        (Path(folder) / "x.toml").write_text(as_toml(shown, {}), encoding="utf-8")
        loaded = load([Path(folder)])
    assert loaded.problems == ()
    assert loaded.settings == shown


def test_a_text_of_any_characters_is_shown_as_toml(tmp_path: Path) -> None:
    strange = 'a"\\\n\x7f\x00\u2028é😀'
    (tmp_path / "x.toml").write_text(as_toml(Settings(cincinnati=CincinnatiSettings(strange)), None), encoding="utf-8")
    (problem,) = load([tmp_path]).problems
    assert problem.key == "cincinnati.base_url"
    assert "not TOML" not in problem.message


def test_json_has_every_key_with_value_and_origin(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text('[updates]\nstrategy = ["marker_file"]\n', encoding="utf-8")
    loaded = load([tmp_path])
    assert loaded.settings is not None
    rows = as_json(loaded.settings, loaded.origins)
    assert set(rows) == {key.dotted for key in keys_of(Settings)}
    assert rows["updates.strategy"] == {"value": "marker_file", "origin": f"{tmp_path / 'x.toml'}:2"}
    assert rows["identity.node_uuid"] == {"value": None, "origin": "default"}
    assert rows["updates.periodic.window"] == {"value": [], "origin": "default", "origins": []}


def test_the_manual_has_the_reference() -> None:
    """Where this fails, run ``python contrib/reference.py``."""
    page = MANUAL.read_text(encoding="utf-8")
    assert reference(Settings) in page
    assert updated(page) == page


def test_the_shipped_snippets_set_nothing_and_mention_every_key() -> None:
    loaded = load([SHIPPED])
    assert loaded.problems == ()
    assert loaded.settings == Settings()
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(SHIPPED.glob("*.toml")))
    for key in keys_of(Settings):
        name = key.path[-1]
        assert re.search(rf"^#{name} = |^#\[\[{re.escape(key.dotted)}\]\]", text, re.MULTILINE), key.dotted


@pytest.mark.parametrize("strategy", strategies())
def test_the_shipped_snippets_are_valid_when_their_settings_are_uncommented(tmp_path: Path, strategy: str) -> None:
    for path in SHIPPED.glob("*.toml"):
        taken_up = re.sub(r"^#(?! |$)", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        (tmp_path / path.name).write_text(taken_up, encoding="utf-8")
    (tmp_path / "99.toml").write_text(f"[updates]\nstrategy = '{strategy}'\n", encoding="utf-8")
    assert load([tmp_path]).problems == ()
