"""Push, laptop form: an approved model becomes an immutable folder and the champion."""

import os
from collections.abc import Mapping
from pathlib import Path

from lockgate.data.snapshot import load, read
from lockgate.evaluation.record import EvaluationRecord
from lockgate.progress import now
from lockgate.records import Verdict
from lockgate.shipping.card import card as describe
from lockgate.shipping.card import example
from lockgate.shipping.folder import CARD, MANIFEST, publish
from lockgate.shipping.manifest import STORE_PLACEHOLDER, STORE_VARIABLE, inference_service, render
from lockgate.shipping.record import ModelCard
from lockgate.steps.check_serving import serving_spec
from lockgate.steps.step import Outcome, Run, step
from lockgate.training.spec import ModelSpec


@step
def push(
    run: Run,
    snapshot: Path,
    model: Path,
    evaluation: Path,
    data_verdict: Path,
    model_verdict: Path,
    serving_verdict: Path,
    *,
    card: Path,
) -> Outcome:
    """Writes `models/<digest>` and its `card`, and crowns it; does neither when a gate is closed.

    The same model pushed again changes nothing: its card stays the one of the first time.

    Raises:
        StorageError: the workspace cannot be written.
        ServingError: the folder of that digest is there, but its content was changed.
    """
    verdicts = [Verdict.load(path) for path in (data_verdict, model_verdict, serving_verdict)]
    if closed := [verdict for verdict in verdicts if not verdict.is_open]:
        reasons = "; ".join(verdict.sentence() for verdict in closed)
        return Outcome(message=f"nothing was pushed: {reasons}", is_open=False)
    frozen = load(snapshot)
    spec = ModelSpec.load(model / "model.json")
    judged = EvaluationRecord.load(evaluation / "evaluation.json")
    test = read(run.workspace, frozen, "test", [column.name for column in spec.inputs])
    store = os.environ.get(STORE_VARIABLE, STORE_PLACEHOLDER)
    memory = measured_memory(verdicts[2], run.project.serving.memory_mb)

    def derived(digest: str) -> Mapping[str, bytes]:
        written = describe(digest, now(), run.project, frozen, spec, judged, verdicts)
        limit = run.project.serving.memory_mb
        service = inference_service(run.project.name, digest, store, memory, limit)
        return {
            CARD: (written.model_dump_json(indent=2) + "\n").encode(),
            MANIFEST: render(service),
        }

    folder, is_new = publish(run.workspace.models, model, serving_spec(judged), example(test, spec), derived)
    run.workspace.crown(folder.name)
    ModelCard.load(folder / CARD).save(card)
    state = "pushed" if is_new else "was pushed before"
    return Outcome(message=f"{run.project.name} {folder.name[:12]} {state}")


def measured_memory(verdict: Verdict, otherwise: float) -> float:
    """The memory that the serving gate measured, in MB."""
    check = next((check for check in verdict.checks if check.rule == "memory"), None)
    return check.value if check is not None and check.value is not None else otherwise
