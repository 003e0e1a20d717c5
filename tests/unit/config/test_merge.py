"""Merging is associative and has a neutral element; layers replace and mask by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.config.layers import Source, overlay
from tidegate.config.merge import EMPTY, Fragment, Given, Origin, combine, merge
from tidegate.settings import load

SOURCE = Source("x.toml", "")

values = st.integers().map(lambda number: Given(number, Origin(SOURCE, ("x",))))
keys = st.sampled_from(("a", "b", "c"))
fragments = st.builds(
    Fragment,
    single=st.dictionaries(keys, values, max_size=3),
    added=st.dictionaries(keys, st.lists(values, max_size=2).map(tuple), max_size=3),
    replaced=st.frozensets(keys, max_size=2),
)


def normal(fragment: Fragment) -> tuple[object, ...]:
    """The observable part: no entries and no key are equivalent."""
    added = {key: given for key, given in fragment.added.items() if given}
    return dict(fragment.single), added, fragment.replaced


@settings(max_examples=40)
@given(fragments, fragments, fragments)
def test_merging_is_associative(one: Fragment, two: Fragment, three: Fragment) -> None:
    left = combine(combine(one, two), three)
    right = combine(one, combine(two, three))
    assert normal(left) == normal(right)


@settings(max_examples=40)
@given(fragments)
def test_the_empty_fragment_is_neutral(one: Fragment) -> None:
    assert normal(combine(EMPTY, one)) == normal(one) == normal(combine(one, EMPTY))


@settings(max_examples=40)
@given(st.lists(fragments, max_size=6), st.integers(0, 6))
def test_a_merge_may_be_cut_anywhere(several: list[Fragment], cut: int) -> None:
    assert normal(merge(several)) == normal(combine(merge(several[:cut]), merge(several[cut:])))


layers = st.lists(st.dictionaries(st.sampled_from(("1.toml", "2.toml", "B.toml", "a.toml")), st.none()), max_size=4)


@settings(max_examples=40)
@given(layers, st.integers(0, 4))
def test_overlaying_is_associative_and_ordered_by_name(names: list[dict[str, None]], cut: int) -> None:
    listings = [{name: Path(f"/{layer}") / name for name in each} for layer, each in enumerate(names)]
    whole = overlay(listings)
    assert whole == overlay([overlay(listings[:cut]), overlay(listings[cut:])])
    assert list(whole) == sorted(whole)
    for name, path in whole.items():
        assert path == [listing for listing in listings if name in listing][-1][name]


# What a snippet may be on disk: text that sets the group, an empty file, or a link to /dev/null.
contents = st.sampled_from(("g1", "g2", "g3", "", "/dev/null"))
trees = st.lists(st.dictionaries(st.sampled_from(("10.toml", "20.toml", "30.toml")), contents), min_size=3, max_size=3)


def expected_group(tree: list[dict[str, str]]) -> str:
    """The rule in its own words: by name, the last folder's file; of those that say something, the last name."""
    group = "default"
    for name in ("10.toml", "20.toml", "30.toml"):
        said = [each[name] for each in tree if name in each]
        group = said[-1] if said and said[-1].startswith("g") else group
    return group


@settings(max_examples=30)
@given(trees)
def test_masking_on_disk(tree: list[dict[str, str]]) -> None:
    with TemporaryDirectory() as folder:
        roots = [Path(folder) / str(number) for number in range(len(tree))]
        for root, each in zip(roots, tree, strict=True):
            root.mkdir()
            write_layer(root, each)
        loaded = load(roots)
    assert loaded.problems == ()
    assert loaded.settings is not None
    assert loaded.settings.identity.group == expected_group(tree)


def write_layer(root: Path, each: Mapping[str, str]) -> None:
    for name, content in each.items():
        if content == "/dev/null":
            (root / name).symlink_to(content)
        else:
            (root / name).write_text(f'[identity]\ngroup = "{content}"\n' if content else "", encoding="utf-8")
