"""The rollout of `make run`: two pushed models, the requests of the months after, a quick policy."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from lockgate.project import Project
from lockgate.rollout.policy import Agreement, Analysis, Difference, Labels, Latency, Mirror, Step
from lockgate.rollout.record import RolloutRecord
from lockgate.rollout.resource import ModelRevision, Spec
from lockgate.run_folder import RunFolder
from lockgate.shipping.folder import CARD, EXAMPLE, Example
from lockgate.shipping.limits import limited
from lockgate.shipping.manifest import model_revision
from lockgate.shipping.record import ModelCard
from lockgate.workspace import Workspace
from serving.laptop.counters import Labelled
from serving.laptop.rollout import Requests, lead

if TYPE_CHECKING:
    import polars as pl

    from serving.controller.loop import Looked

# The live split's first month; it is sent over and over where the rollout takes longer.
MONTH = timedelta(days=31)
# Of the order in which it is sent. Flights of some hours are of another mix than the test rows that the
# limits follow from: of November two fine models decide 5 % otherwise, of a thousand in a row up to 14 %.
SEED = 7
# The same rules as on a cluster, with a laptop's patience: hundreds of requests a second settle in seconds
# what takes minutes elsewhere.
STEPS = tuple(Step(weight=weight, seconds=8) for weight in (1, 5, 25, 50, 100))
MIRROR = Mirror(percent=20, seconds=5)
ANALYSIS = Analysis(
    interval_seconds=1,
    deadline_seconds=60,
    soak_seconds=8,
    prepare_seconds=120,
    drain_seconds=2,
    errors=Difference(tolerance=0.0, margin=0.02),
    # Both models, the proxy and the clients share two cores.
    latency=Latency(tolerance=0.05, margin=0.15, warmup_seconds=3),
    agreement=Agreement(requests=200),
    labels=Labels(tolerance=0.01),
)


def demonstrate(
    project: Project,
    workspace: Workspace,
    run: RunFolder,
    stable: Path,
    candidate: Path,
    rate: float,
    watch: Callable[["Looked", RolloutRecord], None],
) -> RolloutRecord:
    """Rolls the candidate out beside the stable model, under the rows of the live split.

    Args:
        project: that both models are of.
        workspace: where the run's data lie.
        run: whose snapshot has the rows.
        stable: a model folder.
        candidate: another one.
        rate: requests a second.
        watch: is shown every look.

    Raises:
        DataError: the project has no rows to send.
        ServingError: the stable model does not serve.
    """
    cards = {folder: ModelCard.load(folder / CARD) for folder in (stable, candidate)}
    revisions = {folder: _revision(card, folder, project) for folder, card in cards.items()}
    folders = {revision.digest: folder for folder, revision in revisions.items()}
    known = cards[candidate].difference
    analysis = limited(ANALYSIS, known if known and known.other == cards[stable].content else None)
    spec = Spec(host="127.0.0.1", stable=revisions[stable], steps=STEPS, mirror=MIRROR, analysis=analysis)
    return lead(
        project.name,
        spec,
        revisions[candidate],
        lambda revision: folders[revision.digest],
        requests(project, workspace, run, stable, rate),
        watch,
    )


def requests(project: Project, workspace: Workspace, run: RunFolder, model: Path, rate: float) -> Requests:
    """The rows of the live split's first month as requests, in any order, and what came true of them.

    Raises:
        DataError: there is no live split with rows, and no test split either.
    """
    import orjson

    from lockgate.data.snapshot import load, read
    from lockgate.errors import DataError
    from lockgate.shipping.rows import json_values, v1_instances
    from lockgate.training.spec import ModelSpec

    spec = ModelSpec.load(model / "model.json")
    place = run.artifact("collect", "snapshot")
    if place is None:
        raise DataError(
            f"Run {run.path.name} has no snapshot.", "Its rows are the requests.", "Run `lockgate run`."
        )
    snapshot = load(place)
    split = "live" if snapshot.rows_of("live") else "test"
    names = [column.name for column in spec.inputs]
    time = project.data.time
    rows = read(workspace, snapshot, split, list(dict.fromkeys([*names, spec.label, *filter(None, [time])])))
    if time is not None and not rows.is_empty():
        rows = rows.filter(_first_month(time))
    if rows.is_empty():
        raise DataError(
            "The project has no rows to send.",
            "The live or the test split's are sent.",
            "Give one of them a span that has rows, in project.yaml.",
        )
    rows = rows.sample(fraction=1, shuffle=True, seed=SEED)
    instances = v1_instances(json_values(rows, spec.inputs))
    bodies: Sequence[bytes] = [orjson.dumps({"instances": [each]}) for each in instances]
    return Requests(bodies, rate, labelled_rows(bodies, rows, project, spec.classes))


def labelled_rows(
    bodies: Sequence[bytes], rows: "pl.DataFrame", project: Project, classes: tuple[str, ...]
) -> Labelled | None:
    """What came true of the requests; None where the label is not one of two."""
    from lockgate.data.label import encode_label, has_label

    if project.task != "binary":
        return None
    is_known = rows.select(has_label(rows.schema[project.data.label], project)).to_series()
    truths = iter(encode_label(rows.filter(is_known), project, classes))
    return Labelled.of(bodies, [int(next(truths)) if known else None for known in is_known])


def _first_month(time: str) -> "pl.Expr":
    import polars as pl

    return pl.col(time) < pl.col(time).min() + MONTH


def _revision(card: ModelCard, folder: Path, project: Project) -> ModelRevision:
    row = Example.load(folder / EXAMPLE).row
    return model_revision(card, project, str(folder.parent), row)
