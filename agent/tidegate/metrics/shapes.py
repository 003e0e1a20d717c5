"""The few shapes that metrics have here, and how their labels stay bounded: every label has a closed set of values."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

PREFIX = "tidegate"

OTHER = "other"
"""Stands for every word that is not in a label's set."""


def gauge(name: str, doc: str, value: float) -> Metric:
    """One number."""
    return GaugeMetricFamily(f"{PREFIX}_{name}", doc, value=value)


def known(name: str, doc: str, value: float | None) -> Iterator[Metric]:
    """One number where there is one; no series at all where not, for nought would be a statement as well."""
    if value is not None:
        yield gauge(name, doc, value)


def by_label(name: str, doc: str, label: str, values: Mapping[str, float]) -> Metric:
    """A number for each value of a label."""
    family = GaugeMetricFamily(f"{PREFIX}_{name}", doc, labels=[label])
    for word, value in values.items():
        family.add_metric([word], value)
    return family


def one_of(name: str, doc: str, label: str, words: Collection[str], word: str | None) -> Metric:
    """A series for each of ``words``, of which the present one is 1; all are 0 where there is none."""
    present = None if word is None else bounded(word, words)
    return by_label(name, doc, label, {each: float(each == present) for each in (*words, OTHER)})


def tally(words: Collection[str], found: Iterable[str]) -> dict[str, float]:
    """How often each of ``words`` is found; what is none of them counts as other."""
    counts = dict.fromkeys((*words, OTHER), 0.0)
    for word in found:
        counts[bounded(word, words)] += 1
    return counts


def info(name: str, doc: str, labels: Mapping[str, str]) -> Metric:
    """A series that is always 1, for what its labels say."""
    family = GaugeMetricFamily(f"{PREFIX}_{name}_info", doc, labels=list(labels))
    family.add_metric(list(labels.values()), 1)
    return family


def bounded(word: str, words: Collection[str]) -> str:
    """``word`` if it is one of ``words``."""
    return word if word in words else OTHER
