"""The kinds of metrics in use. Every label has a closed set of values, so that the number of series is bounded."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

PREFIX = "tidegate"

OTHER = "other"
"""The value for every word outside a label's set."""


def gauge(name: str, doc: str, value: float) -> Metric:
    """A gauge without labels."""
    return GaugeMetricFamily(f"{PREFIX}_{name}", doc, value=value)


def known(name: str, doc: str, value: float | None) -> Iterator[Metric]:
    """A gauge without labels; no series if ``value`` is None, because 0 would be a value too."""
    if value is not None:
        yield gauge(name, doc, value)


def by_label(name: str, doc: str, label: str, values: Mapping[str, float]) -> Metric:
    """A gauge with one label; ``values`` by the value of the label."""
    family = GaugeMetricFamily(f"{PREFIX}_{name}", doc, labels=[label])
    for word, value in values.items():
        family.add_metric([word], value)
    return family


def one_of(name: str, doc: str, label: str, words: Collection[str], word: str | None) -> Metric:
    """A series for each of ``words``: 1 for ``word``, 0 for the others; all 0 if ``word`` is None."""
    present = None if word is None else bounded(word, words)
    return by_label(name, doc, label, {each: float(each == present) for each in (*words, OTHER)})


def tally(words: Collection[str], found: Iterable[str]) -> dict[str, float]:
    """Count each of ``words`` in ``found``; other words are counted as ``other``."""
    counts = dict.fromkeys((*words, OTHER), 0.0)
    for word in found:
        counts[bounded(word, words)] += 1
    return counts


def info(name: str, doc: str, labels: Mapping[str, str]) -> Metric:
    """A series with the value 1, whose labels carry the information."""
    family = GaugeMetricFamily(f"{PREFIX}_{name}_info", doc, labels=list(labels))
    family.add_metric(list(labels.values()), 1)
    return family


def bounded(word: str, words: Collection[str]) -> str:
    """``word`` if it is one of ``words``, else ``other``."""
    return word if word in words else OTHER
