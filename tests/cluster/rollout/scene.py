"""One model under one controller and one stream of requests: what a rollout's tests do and see."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components.cluster.rollout import RolloutDelivery
from lockgate.project.rollout import Rollout
from lockgate.rollout.status import Status
from lockgate.shipping.folder import CARD, EXAMPLE, Example
from lockgate.shipping.names import revision_name
from lockgate.shipping.record import ModelCard
from lockgate.shipping.revision import Revision, revision_of
from serving.controller.cluster.wishes import ModelRollouts, Shown
from tests.cluster.kube import Kubectl, wait_for
from tests.cluster.penguins import MODEL
from tests.cluster.rollout.controlled import Controller
from tests.cluster.rollout.traffic import Traffic
from tests.cluster.served import Place, upload

# 50 requests a second carry a step within its 4 s, and nothing worse than a tenth of the requests.
STEPS = ({"weight": 20, "seconds": 4}, {"weight": 50, "seconds": 4}, {"weight": 100, "seconds": 4})
ANALYSIS: Mapping[str, Any] = {
    "interval_seconds": 2,
    "soak_seconds": 6,
    "drain_seconds": 5,
    "deadline_seconds": 120,
    "prepare_seconds": 180,
    "errors": {"tolerance": 0.01, "margin": 0.08},
    # Two cores carry everything: only what is slow in most of its requests is told from a busy machine.
    "latency": {"tolerance": 0.15, "margin": 0.4, "limit_ms": 50, "warmup_seconds": 0},
    "scores": {"tolerance": 0.1, "margin": 0.4},
}
POD_SECONDS = 180.0
ROLLOUT_SECONDS = 120.0
WISHES = ("paused", "promote", "abort", "replicas")


@dataclass
class Scene:
    """The parts, and what is done with them.

    `good` are two models that answer alike; one of them is the stable one. `pushed` is the time of the last
    push.
    """

    kubectl: Kubectl
    place: Place
    rollouts: ModelRollouts
    controller: Controller
    traffic: Traffic
    good: tuple[Path, Path]
    uploaded: set[Path] = field(default_factory=set)
    pushed: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def namespace(self) -> str:
        """Of all objects."""
        return self.place.namespace

    def revision(
        self, model: Path, *, cpu: str = "100m", memory_mb: float = 1500, steps: Any = STEPS, **analysis: Any
    ) -> Revision:
        """The revision of a model's folder with these tests' policy; settings of the analysis may differ."""
        project = self.place.project(
            strategy="rollout", replicas=1, cpu=cpu, cpu_limit=cpu if cpu.isdigit() else "2"
        )
        written = project.model_copy(
            update={
                "rollout": Rollout.model_validate({"steps": steps, "analysis": {**ANALYSIS, **analysis}}),
                "serving": project.serving.model_copy(update={"memory_mb": memory_mb}),
            }
        )
        row = Example.load(model / EXAMPLE).row
        return revision_of(ModelCard.load(model / CARD), written, self.place.store, row)

    def push(self, model: Path, **settings: Any) -> str:
        """Uploads a model and pushes it by rollout, with the push step's rights; the revision's name."""
        revision = self.offered(model, **settings)
        RolloutDelivery(self.place.objects).deliver(revision)
        return revision.name

    def offered(self, model: Path, **settings: Any) -> Revision:
        """Uploads a model; one that an earlier test had taken back is asked to be tried again."""
        if model not in self.uploaded:
            upload(model, self.place.store)
            self.uploaded.add(model)
        if self.exists and (before := self.status.rejected) and before.digest == model.name:
            self.annotate(f"lockgate.dev/retry={datetime.now(UTC):%H-%M-%S}")
        self.pushed = datetime.now(UTC)
        return self.revision(model, **settings)

    @property
    def stable(self) -> str:
        """The revision with most of the traffic, by the route alone; between two rollouts it has all."""
        return max(self.route().items(), key=lambda item: item[1])[0]

    def other(self) -> Path:
        """The good model that is not the stable one."""
        stable = self.stable
        return next(model for model in self.good if name_of(model) != stable)

    @property
    def shown(self) -> Shown:
        """The ModelRollout as it is."""
        return self.rollouts.one(MODEL)

    @property
    def status(self) -> Status:
        """Its status."""
        return self.shown.status

    def until(self, condition: Callable[[Status], Any], seconds: float, what: str) -> Status:
        """The status as soon as the condition holds.

        Raises:
            TimeoutError: it did not in time; with the status and the end of the controller's log.
        """
        try:
            return wait_for(lambda: s if condition(s := self.status) else None, seconds, what)
        except TimeoutError as error:
            now = self.status
            raise TimeoutError(
                f"{error}: {now.phase}, {now.weight} %, {now.reason}: {now.message}\n{self.controller.said()}"
            ) from None

    def at_weight(self, name: str, weight: int, seconds: float = POD_SECONDS) -> Status:
        """Waits until the candidate has this share of the traffic, by the controller's own word."""
        return self.until(
            lambda s: s.candidate_revision == name and s.weight == weight and s.written == weight,
            seconds,
            f"{weight} % for {name}",
        )

    def ended(self, name: str, seconds: float = ROLLOUT_SECONDS) -> Status:
        """Waits until the rollout of the candidate that was pushed last has ended and is written down."""

        def is_done(status: Status) -> bool:
            is_this = status.candidate_revision == name and (status.started or self.pushed) > self.pushed
            is_over = status.stage == "rolledBack" or status.stable == status.candidate
            return is_this and is_over and status.settled

        return self.until(is_done, seconds, f"the end of {name}")

    def answered(self, seconds: float) -> None:
        """Waits until all requests of a whole second are answered.

        Raises:
            TimeoutError: they are not, all the time.
        """

        def is_answered() -> bool:
            window = self.traffic.window()
            wait_for(lambda: window.total > self.traffic.rate, 60, "a second of answers")
            return not window.lost()

        wait_for(is_answered, seconds, "a second in which everything is answered")

    @property
    def exists(self) -> bool:
        """Whether there is a ModelRollout."""
        return bool(self.kubectl("get", "modelrollout", MODEL, "-n", self.namespace, "--ignore-not-found"))

    def annotate(self, *words: str) -> None:
        """Asks for something by `kubectl annotate`."""
        self.kubectl("annotate", "--overwrite", "modelrollout", MODEL, "-n", self.namespace, *words)

    def patch(self, change: Mapping[str, Any]) -> None:
        """A merge patch of the ModelRollout, as people make it."""
        words = ("patch", "modelrollout", MODEL, "-n", self.namespace, "--type=merge", "-p")
        self.kubectl(*words, json.dumps(change))

    def route(self) -> dict[str, int]:
        """The weights of the route by revision; nothing where there is none."""
        found = self.kubectl(
            "get", "httproute", MODEL, "-n", self.namespace, "--ignore-not-found", "-o", "json"
        )
        return weights(json.loads(found)) if found else {}

    def revisions(self) -> set[str]:
        """The names of the InferenceServices that are not being deleted."""
        found = self.kubectl.get("inferenceservices", namespace=self.namespace)["items"]
        return {o["metadata"]["name"] for o in found if "deletionTimestamp" not in o["metadata"]}


def weights(route: Mapping[str, Any]) -> dict[str, int]:
    """An HTTPRoute's weights by revision, as its first rule has them."""
    backends = route["spec"]["rules"][0]["backendRefs"]
    return {b["name"].removesuffix("-predictor"): b.get("weight", 1) for b in backends}


def name_of(model: Path) -> str:
    """The revision's name of a model's folder."""
    return revision_name(MODEL, model.name)
