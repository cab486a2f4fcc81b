"""What the server counts, for Prometheus at /metrics.

Everything is counted on the event loop's one thread, in plain lists and dictionaries, and put into
Prometheus' form only when it is asked for: a request pays about two microseconds.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from lockgate.features.spec import TransformSpec
from lockgate.training.spec import ModelSpec
from serving.runtime.sample import First

SECONDS = (
    0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5,
    0.75, 1.0, 2.0, 5.0,
)  # fmt: skip
ROWS = tuple(float(2**i) for i in range(16))
PROBABILITIES = tuple(round(i / 20, 2) for i in range(1, 21))
# Scores of a regression whose label's mean and spread nobody wrote down.
DECADES = tuple(
    sign * 10.0**i for sign, powers in ((-1, range(9, -4, -1)), (1, range(-3, 10))) for i in powers
)
# Predictions of a regression by the request: 1, 2, 5 in each decade of both signs, and 0.
STEPS = (*(float(f"{digit}e{power}") for power in range(-3, 9) for digit in (1, 2, 5)), 1e9)
SERIES = (*(-step for step in reversed(STEPS)), 0.0, *STEPS)


class Histogram:
    """Counts of values up to each bound, and the values' sum."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Counts one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def add_all(self, values: Any) -> None:
        """Counts an array of values."""
        if len(values) == 1:
            self.add(float(values[0]))
            return
        places = np.searchsorted(self.bounds, values, side="left")
        for place, count in enumerate(np.bincount(places, minlength=len(self.counts)).tolist()):
            self.counts[place] += count
        self.total += float(values.sum(dtype=np.float64))

    def buckets(self) -> list[tuple[str, float]]:
        """Prometheus' cumulative buckets."""
        names = [*(str(bound) for bound in self.bounds), "+Inf"]
        return list(zip(names, map(float, accumulate(self.counts)), strict=True))


class Metrics(Collector):
    """The counts of one server.

    Args:
        spec: of the model.
        name: the model's name in the URL.
        digest: of the model folder's content.
        bounds: of the score's histogram (`score_bounds`).
    """

    def __init__(self, spec: ModelSpec, name: str, digest: str, bounds: Sequence[float]) -> None:
        self._about = {"model": name, "digest": digest, "task": spec.task}
        self._classes = spec.classes if spec.task == "multiclass" else ("",)
        self._answers: Counter[tuple[str, str]] = Counter()
        self._seconds: dict[str, Histogram] = {p: Histogram(SECONDS) for p in ("v1", "v2", "grpc")}
        self._rows = Histogram(ROWS)
        self._requests = Histogram(ROWS[:9])
        self._scores = {label: Histogram(bounds) for label in self._classes}
        # Bounds that no training changes: the histograms of two revisions are held against each other.
        fixed = SERIES if spec.task == "regression" else PROBABILITIES
        self._firsts = {label: Histogram(fixed) for label in self._classes}
        self.refused: Counter[str] = Counter(overloaded=0, too_large=0)
        self.waiting: Callable[[], int] = int
        self.ready: Callable[[], bool] = bool

    def answered(self, protocol: str, code: str, seconds: float, first: First | None = None) -> None:
        """Counts the answer to one prediction request, `seconds` after its head was read.

        Of a request that succeeded, the `first` row's score is counted, and no other: a gateway assigns
        requests to revisions, not rows, so requests are the unit in which two revisions can be compared. The
        rows of one request are not independent, and one large request would weigh like thousands.
        """
        self._answers[protocol, code] += 1
        self._seconds[protocol].add(seconds)
        if first is not None:
            self._firsts[first.label if first.label in self._firsts else ""].add(first.score)

    def scored(self, columns: Mapping[str, Any], rows: int, requests: int) -> None:
        """Counts one call of the model, and the scores that it gave."""
        self._rows.add(rows)
        self._requests.add(requests)
        if "probabilities" in columns:
            best = columns["probabilities"].max(axis=1)
            for label in set(columns["label"].tolist()):
                self._scores[label].add_all(best[columns["label"] == label])
        else:
            self._scores[""].add_all(next(iter(columns.values())))

    def collect(self) -> Iterator[Metric]:
        """All of it in Prometheus' form."""
        yield InfoMetricFamily("lockgate_model", "The model that is served.", self._about)
        requests = CounterMetricFamily(
            "lockgate_requests", "Answers to prediction requests.", labels=("protocol", "code")
        )
        for labels, count in sorted(self._answers.items()):
            requests.add_metric(labels, count)
        yield requests
        seconds = "Seconds from a prediction request's head to its answer."
        yield self._family("lockgate_request_seconds", seconds, "protocol", self._seconds)
        yield self._family("lockgate_batch_rows", "Rows of one call of the model.", "", {"": self._rows})
        yield self._family(
            "lockgate_batch_requests", "Requests of one call of the model.", "", {"": self._requests}
        )
        label = "label" if self._classes != ("",) else ""
        yield self._family(
            "lockgate_score", "Scores given (several classes: the highest).", label, self._scores
        )
        each = "First row's score of every request that succeeded (several classes: the highest)."
        yield self._family("lockgate_request_score", each, label, self._firsts)
        refused = CounterMetricFamily(
            "lockgate_refused", "Requests refused unread, for want of room.", labels=("reason",)
        )
        for reason, count in self.refused.items():
            refused.add_metric((reason,), count)
        yield refused
        yield GaugeMetricFamily("lockgate_waiting_requests", "Requests that wait.", value=self.waiting())
        yield GaugeMetricFamily("lockgate_ready", "1 while ready for requests.", value=float(self.ready()))

    def _family(
        self, name: str, text: str, label: str, histograms: Mapping[str, Histogram]
    ) -> HistogramMetricFamily:
        family = HistogramMetricFamily(name, text, labels=(label,) if label else ())
        for value, histogram in histograms.items():
            family.add_metric((value,) if label else (), histogram.buckets(), histogram.total)
        return family


def score_bounds(spec: ModelSpec, folder: Path) -> tuple[float, ...]:
    """The upper bounds of the score's histogram.

    Probabilities: twenty of equal width. Predictions of a regression: twenty from three standard deviations
    below the label's mean to three above, both as the transform measured them on the training rows; powers
    of ten where the folder does not say.
    """
    if spec.task != "regression":
        return PROBABILITIES
    path = folder / "transform.json"
    label = TransformSpec.load(path).label if path.exists() else None
    if label is None or not label.std:
        return DECADES
    bounds = tuple(float(f"{label.mean + label.std * (i * 0.3 - 3):.6g}") for i in range(21))
    return bounds if all(a < b for a, b in pairwise(bounds)) else DECADES
