"""The step that turns raw rows into the network's inputs, unless the data gate is closed."""

from pathlib import Path
from typing import get_args

import numpy as np
import polars as pl

from lockgate.data import snapshot as snapshots
from lockgate.data.label import encode_label, labelled
from lockgate.data.profile import Profile
from lockgate.errors import GateClosed
from lockgate.features.fit import describe, fit
from lockgate.project import RandomSplit
from lockgate.records import Snapshot, Split, Verdict
from lockgate.steps.step import Outcome, Run, step
from lockgate.training.folds import FILE, Places, assign


@step
def transform(run: Run, snapshot: Path, statistics: Path, verdict: Path, *, features: Path) -> Outcome:
    """Writes `features`: spec.json and the rows of train, tune and test as network inputs.

    Raises:
        GateClosed: the data gate is closed; names the checks that failed.
    """
    refuse_closed(Verdict.load(verdict))
    from lockgate.features.materialise import materialise

    data = snapshots.load(snapshot)
    spec = fit(run.project, run.workspace, data, Profile.load(statistics / "profile.json"))
    rows: dict[Split, int] = {}
    for split in get_args(Split):
        if split != "live":
            rows[split] = materialise(
                run.project, run.workspace, data, spec, split=split, folder=features / split
            )
            run.tell(f"{split} is ready", rows[split])
    if isinstance(run.project.split, RandomSplit) and run.project.split.folds > 1:
        np.save(features / FILE, fold_of_rows(run, data, run.project.split))
    spec.model_copy(update={"rows": rows}).save(features / "spec.json")
    left_out = f", {len(spec.dropped)} dropped" if spec.dropped else ""
    width = f"{len(spec.numbers)} network numbers and {len(spec.categories)} categories"
    return Outcome(message=f"{describe(spec.features)}{left_out}: {width}", rows=sum(rows.values()))


def fold_of_rows(run: Run, data: Snapshot, split: RandomSplit) -> Places:
    """The fold of every labelled row of train, then of tune."""
    wanted = list(dict.fromkeys([run.project.data.label, *([split.group] if split.group else [])]))
    parts = [snapshots.read(run.workspace, data, name, wanted) for name in ("train", "tune")]
    rows = labelled(pl.concat(parts), run.project)
    groups = rows[split.group].cast(pl.String).fill_null("").to_list() if split.group else None
    labels = encode_label(rows, run.project)
    by_class = run.project.task != "regression"
    return assign(labels, split.folds, split.seed, groups=groups, by_class=by_class)


def refuse_closed(verdict: Verdict) -> None:
    """Raises `GateClosed` with the failed checks of a closed gate."""
    if verdict.is_open:
        return
    first, *others = verdict.errors
    more = "".join(f"\n  also: {check.message}" for check in others[:9])
    rules = ", ".join(dict.fromkeys(check.rule for check in verdict.errors))
    raise GateClosed(
        f"The {verdict.gate} gate is closed by {len(verdict.errors)} checks ({rules}): {first.message}{more}",
        "Every check of severity error must pass before the next step may run.",
        first.advice or "Read the data page, then mend the data or set the check's limit in project.yaml.",
    )
