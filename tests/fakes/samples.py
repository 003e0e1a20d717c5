"""Prometheus' text, read back as a Prometheus would."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset[tuple[str, str]]


class Samples:
    """The samples of one exposition, by name and labels; two of the same are an error."""

    def __init__(self, text: bytes) -> None:
        self.by_name: dict[str, dict[Labels, float]] = {}
        self.docs: dict[str, str] = {}
        for family in text_string_to_metric_families(text.decode()):
            self.docs[family.name] = family.documentation
            for sample in family.samples:
                series = self.by_name.setdefault(sample.name, {})
                labels = frozenset(sample.labels.items())
                assert labels not in series, f"{sample.name} has {dict(labels)} twice"
                series[labels] = sample.value

    def __getitem__(self, name: str) -> float:
        """The value of a metric without labels."""
        return self.by_name[name][frozenset()]

    def __contains__(self, name: str) -> bool:
        """Whether there is a sample of that name."""
        return name in self.by_name

    def value(self, name: str, **labels: str) -> float:
        """The value of one series."""
        return self.by_name[name][frozenset(labels.items())]

    def by(self, name: str, label: str) -> Mapping[str, float]:
        """The values of a metric by its one label."""
        return {dict(labels)[label]: value for labels, value in self.by_name.get(name, {}).items()}

    def ones(self, name: str, label: str) -> list[str]:
        """The values of ``label`` for which the metric is not 0."""
        return [word for word, value in self.by(name, label).items() if value]
