"""A whole rollout of a small model on this machine: real servers, Envoy, requests, in some seconds.

As a program it leads a rollout that does not end by itself: `python -m tests.rollout.laptop FOLDER`.
"""

import sys
from pathlib import Path

import orjson

from lockgate.rollout.policy import Agreement, Analysis, Difference, Latency, Mirror, Scores, Step
from lockgate.rollout.record import RolloutRecord
from lockgate.rollout.resource import ModelRevision, Spec
from lockgate.shipping.folder import Example, ServingSpec, folder_digest, stage
from serving.laptop.rollout import Requests, lead

MODEL = "tiny"
RATE = 150  # requests a second: the tests' machine has two cores, and other tests
ROW = {"distance": 500, "carrier": "UA", "Zeit é": "2013-10-01T05:15:00Z"}
ROWS = [{**ROW, "distance": i, "carrier": c} for i in range(1, 400) for c in ("UA", "AA", None)]
BODIES = [orjson.dumps({"instances": [row]}) for row in ROWS]


def pushed(export: Path, models: Path) -> Path:
    """A model folder named by its digest, of what a training exported."""
    stage(export, ServingSpec(threshold=0.5), Example(row=ROW), models / "draft")
    return (models / "draft").rename(models / folder_digest(models / "draft"))


def revision(folder: Path) -> ModelRevision:
    """The revision of such a folder."""
    return ModelRevision(digest=folder.name, storage_uri=str(folder), replicas=1, example=ROW)


def quick(stable: Path, *, mirror: int = 0, seconds: float = 1.0) -> Spec:
    """The rules of a cluster's rollout, with steps of a second."""
    return Spec(
        host="127.0.0.1",
        stable=revision(stable),
        steps=tuple(Step(weight=weight, seconds=seconds) for weight in (10, 50, 100)),
        mirror=Mirror(percent=mirror, seconds=1),
        analysis=Analysis(
            interval_seconds=0.5,
            deadline_seconds=60,
            soak_seconds=2,
            prepare_seconds=60,
            drain_seconds=0.5,
            errors=Difference(margin=0.05),
            latency=Latency(tolerance=0.1, margin=0.4, limit_ms=75, warmup_seconds=0.5),
            scores=Scores(tolerance=0.05, margin=0.2),
            agreement=Agreement(requests=50),
        ),
    )


def rolled(spec: Spec, stable: Path, candidate: Path) -> RolloutRecord:
    """The record of a rollout of the candidate."""
    folders = {folder.name: folder for folder in (stable, candidate)}
    return lead(MODEL, spec, revision(candidate), lambda r: folders[r.digest], Requests(BODIES, RATE))


if __name__ == "__main__":
    first, second = sorted(p for p in Path(sys.argv[1]).iterdir() if p.is_dir())
    rolled(quick(first, seconds=1e6), first, second)
