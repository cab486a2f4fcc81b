"""Push: an approved model becomes an immutable folder, is delivered to where it serves, and the champion."""

import os
from collections.abc import Mapping
from pathlib import Path

from lockgate.data.snapshot import load, read
from lockgate.evaluation.record import EvaluationRecord
from lockgate.progress import now
from lockgate.records import Verdict
from lockgate.shipping.card import card as describe
from lockgate.shipping.card import example
from lockgate.shipping.folder import CARD, MANIFEST
from lockgate.shipping.manifest import STORE_PLACEHOLDER, STORE_VARIABLE, inference_service, render
from lockgate.shipping.pushed import publish
from lockgate.shipping.record import ModelCard
from lockgate.shipping.revision import revision_of
from lockgate.steps.check_serving import serving_spec
from lockgate.steps.step import Outcome, Run, step
from lockgate.training.spec import ModelSpec
from lockgate.workspace import Workspace


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
    """Writes `models/<digest>` and its `card`, delivers and crowns it; none of it when a gate is closed.

    The same model pushed again changes nothing: its card stays the one of the first time.

    Raises:
        StorageError: the workspace cannot be written.
        ServingError: the folder of that digest is there, but its content was changed.
        DeliveryError: the cluster or the Git repository refused it; the champion stays the one before.
    """
    verdicts = [Verdict.load(path) for path in (data_verdict, model_verdict, serving_verdict)]
    if closed := [verdict for verdict in verdicts if not verdict.is_open]:
        reasons = "; ".join(verdict.sentence() for verdict in closed)
        return Outcome(message=f"nothing was pushed: {reasons}", is_open=False)
    frozen = load(snapshot)
    spec = ModelSpec.load(model / "model.json")
    judged = EvaluationRecord.load(evaluation / "evaluation.json")
    test = read(run.workspace, frozen, "test", [column.name for column in spec.inputs])
    row = example(test, spec)
    store = model_store(run.workspace)

    def derived(digest: str) -> Mapping[str, bytes]:
        written = describe(digest, now(), run.project, frozen, spec, judged, verdicts)
        return {
            CARD: (written.model_dump_json(indent=2) + "\n").encode(),
            MANIFEST: render(inference_service(written, run.project, store)),
        }

    folder, is_new = publish(run.workspace, model, serving_spec(judged), row, derived)
    kept = ModelCard.load(folder / CARD)
    message = f"{run.project.name} {folder.name[:12]} {'pushed' if is_new else 'was pushed before'}"
    if run.ports.delivery is not None:
        run.tell("delivering the model")
        message += "; " + run.ports.delivery.deliver(revision_of(kept, run.project, store, row.row))
    replaced = run.workspace.crown(folder.name)
    if replaced not in (None, folder.name, judged.champion.model):
        message += f"; it replaced {replaced[:12]}, crowned by another run after this model was judged"
    kept.save(card)
    return Outcome(message=message)


def model_store(workspace: Workspace) -> str:
    """Where the cluster finds model folders: the workspace's bucket, or what LOCKGATE_STORE names."""
    return os.environ.get(STORE_VARIABLE) or (
        f"{workspace.address}/{workspace.models.name}" if workspace.is_remote else STORE_PLACEHOLDER
    )
