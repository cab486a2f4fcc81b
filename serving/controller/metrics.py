"""What the controller tells Prometheus at /metrics: its looks, and how each model's rollout stands."""

from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from lockgate.rollout.status import Phase
from serving.controller.loop import Looked

MODEL = ("namespace", "model")
SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class Metrics:
    """The series of one controller. The rollout's are the leader's alone to give."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._weight = Gauge(
            "lockgate_rollout_weight", "The candidate's wanted share in percent.", MODEL, registry=registry
        )
        self._observed = Gauge(
            "lockgate_rollout_observed_share",
            "The candidate's share of the requests counted since the step began, in percent.",
            MODEL,
            registry=registry,
        )
        self._evidence = Gauge(
            "lockgate_rollout_evidence",
            "Logarithm of the e-value against the candidate, or for it.",
            (*MODEL, "measure", "direction"),
            registry=registry,
        )
        self._phase = Gauge(
            "lockgate_rollout_phase",
            "1 for the phase that the rollout is in, 0 for the others.",
            (*MODEL, "phase"),
            registry=registry,
        )
        self._looks = Counter(
            "lockgate_controller_looks",
            "Looks, by how they ended: ok or error.",
            ("result",),
            registry=registry,
        )
        self._seconds = Histogram(
            "lockgate_controller_look_seconds", "How long a look took.", buckets=SECONDS, registry=registry
        )
        for result in ("ok", "error"):
            self._looks.labels(result)

    def looked(self, looked: Looked, seconds: float) -> None:
        """Counts a look that came to its end, and shows what it found."""
        self._looks.labels("ok").inc()
        self._seconds.observe(seconds)
        of = (looked.rollout.namespace, looked.rollout.model)
        self.forget(*of)
        self._weight.labels(*of).set(looked.status.weight)
        self._phased(*of, looked.status.phase)
        memory = looked.look.memory
        observed = memory.ledger.split.observed() if memory is not None else None
        if observed is not None:
            self._observed.labels(*of).set(observed[0])
        for reading in looked.decision.readings if looked.decision is not None else ():
            self._evidence.labels(*of, reading.measure, "against").set(reading.against)
            if reading.for_it is not None:
                self._evidence.labels(*of, reading.measure, "for").set(reading.for_it)

    def failed(self, seconds: float) -> None:
        """Counts a look that was cut off by an error."""
        self._looks.labels("error").inc()
        self._seconds.observe(seconds)

    def erred(self, namespace: str, model: str) -> None:
        """Shows that a model cannot be looked at; what was found last stays beside it."""
        self._phased(namespace, model, "Error")

    def forget(self, namespace: str, model: str) -> None:
        """Shows nothing of a model any more: its ModelRollout is gone, or another controller leads."""
        of = {"namespace": namespace, "model": model}
        for gauge in (self._weight, self._observed, self._evidence, self._phase):
            gauge.remove_by_labels(of)

    def _phased(self, namespace: str, model: str, phase: Phase) -> None:
        for each in get_args(Phase):
            self._phase.labels(namespace, model, each).set(each == phase)

    def exposition(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self._registry)
