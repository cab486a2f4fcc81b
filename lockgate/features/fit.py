"""From the data gate's profile and project.yaml to the record that the preprocessing model is built from."""

import difflib
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from lockgate.data import snapshot as snapshots
from lockgate.data.columns import kind_of
from lockgate.data.label import classes_of, encode_label, labelled
from lockgate.data.profile import ColumnProfile, Profile
from lockgate.errors import ConfigError, DataError
from lockgate.features.constants import constants_of
from lockgate.features.layout import category_inputs, cross_specs, number_names
from lockgate.features.raw import encode, raw_columns
from lockgate.features.selection import codes, mutual_information, select
from lockgate.features.spec import Components, Dropped, FeatureSpec, LabelSpec, NumberSpec, TransformSpec
from lockgate.project import Feature, Project
from lockgate.records import Snapshot
from lockgate.workspace import Workspace

SAMPLE_ROWS = 100_000
GAP = 97


def fit(project: Project, workspace: Workspace, snapshot: Snapshot, profile: Profile) -> TransformSpec:
    """The transform of a project's features, its constants from the profile of the training rows.

    Only what a profile cannot hold is read from the data: the label, pairs of columns whose profiles are
    the same, and a sample of rows for mutual information and principal components where they are asked for.

    Raises:
        ConfigError: project.yaml names a feature that the data does not have, or one setting does not fit.
        DataError: no feature is left, or the training rows hold a single class.
    """
    train = profile.splits.get("train", {})
    wanted = _features(project, snapshot, train)
    dropped = _dropped(project, workspace, snapshot, {name: train[name] for name in wanted})
    gone = {d.name for d in dropped}
    kept = {name: feature for name, feature in wanted.items() if name not in gone}
    if not kept:
        raise DataError(
            f"None of the {len(wanted)} features is left: {dropped[0].name}: {dropped[0].reason}",
            "A model needs at least one feature that differs from row to row.",
            "List other columns under features, or name some under selection.keep.",
        )
    schema = snapshots.schema_of(snapshot)
    columns = raw_columns({name: kind_of(project, name, schema[name]) for name in kept})
    features = tuple(constants_of(name, train[name], feature) for name, feature in kept.items())
    crosses = cross_specs(project.crosses, features, wanted)
    spec = TransformSpec(
        columns=columns,
        features=features,
        crosses=crosses,
        dropped=dropped,
        label=label_of(project, snapshots.read(workspace, snapshot, "train", [project.data.label])),
        numbers=number_names(features),
        categories=category_inputs(columns, features, crosses),
    )
    if not project.selection.components:
        return spec
    rows = sample(workspace, snapshot, list(kept))
    components = principal_components(spec, rows, project.selection.components)
    return spec.model_copy(update={"components": components, "numbers": number_names(features, components)})


def label_of(project: Project, rows: pl.DataFrame) -> LabelSpec:
    """The label's classes and their shares, or its mean and deviation, in the training rows.

    Raises:
        DataError: no row has a label, all have the same class, or the label is constant (regression).
    """
    known = labelled(rows, project)
    name = project.data.label
    classes = classes_of(known, project)
    values = encode_label(known, project, classes) if known.height else np.zeros(0, dtype=np.float32)
    different = len(np.unique(values))
    if different < 2:
        only = "have no label" if not known.height else f"all have the label {known[name][0]!r}"
        raise DataError(
            f"The {rows.height:,} training rows {only} ({name!r}).",
            "A model can only learn from at least two different labels.",
            "Check data.label, or make split.train longer.",
        )
    if project.task == "regression":
        wide = values.astype(np.float64)
        return LabelSpec(name=name, task="regression", mean=float(wide.mean()), std=float(wide.std()))
    counts = np.bincount(values.astype(np.int64), minlength=len(classes))
    shares = tuple(float(c) / len(values) for c in counts)
    return LabelSpec(name=name, task=project.task, classes=classes, shares=shares)


def sample(workspace: Workspace, snapshot: Snapshot, columns: list[str]) -> pl.DataFrame:
    """At most 100,000 training rows, spread evenly over all of them in short stretches."""
    rows = snapshot.rows_of("train")
    frame = snapshots.scan(workspace, snapshot, "train").select(columns)
    if rows <= SAMPLE_ROWS:
        return frame.collect()
    index = pl.int_range(pl.len(), dtype=pl.Int64)
    # A prime stride does not fall in step with hours, days or weeks.
    return frame.filter((index * GAP) % rows < SAMPLE_ROWS).collect(engine="streaming")


def principal_components(spec: TransformSpec, rows: pl.DataFrame, count: int) -> Components:
    """The first principal components of the scaled numbers, from a sample of the training rows.

    The sign of each is such that its largest weight is positive, so that the same data gives the same.

    Raises:
        ConfigError: more components are asked for than there are numbers.
    """
    from lockgate.features.preprocess import build  # TensorFlow

    names = tuple(f.name for f in spec.features if isinstance(f, NumberSpec))
    if count > len(names):
        raise ConfigError(
            f"selection.components is {count}, but only {len(names)} numbers are left.",
            "There can be as many components as numbers, at most.",
            "Lower selection.components, or set it to 0.",
        )
    tensors = encode(rows, spec.columns)
    block = np.asarray(build(spec)(tensors)["numbers"], dtype=np.float64)[:, : len(names)]
    means = block.mean(axis=0)
    variances, vectors = np.linalg.eigh(
        np.cov(block - means, rowvar=False, bias=True).reshape(len(names), -1)
    )
    order = np.argsort(variances)[::-1][:count]
    matrix = vectors[:, order].T
    matrix *= np.sign(matrix[np.arange(count), np.abs(matrix).argmax(axis=1)])[:, None]
    return Components(
        of=names,
        means=tuple(means.tolist()),
        matrix=tuple(tuple(row) for row in matrix.tolist()),
        explained=tuple((variances[order] / variances.sum()).tolist()),
    )


def _features(
    project: Project, snapshot: Snapshot, profiles: Mapping[str, ColumnProfile]
) -> dict[str, Feature]:
    names = [c.name for c in snapshot.columns]
    wanted = project.features_of(names)
    for name in wanted:
        if name not in profiles:
            near = difflib.get_close_matches(name, names, n=1)
            raise ConfigError(
                f"features.{name} is no column of the data.",
                f"Did you mean {near[0]!r}?" if near else f"The columns are {', '.join(names)}.",
                "Edit features in project.yaml.",
            )
    return wanted


def _dropped(
    project: Project, workspace: Workspace, snapshot: Snapshot, profiles: Mapping[str, ColumnProfile]
) -> tuple[Dropped, ...]:
    def are_equal(left: str, right: str) -> bool:
        same = pl.col(left).eq_missing(pl.col(right)).all()
        return bool(snapshots.scan(workspace, snapshot, "train").select(same).collect().item())

    known: dict[str, Any] = {}

    def information(name: str) -> float:
        if not known:
            rows = labelled(sample(workspace, snapshot, [*profiles, project.data.label]), project)
            known["rows"], known["label"] = rows, codes(rows[project.data.label])
        return mutual_information(codes(known["rows"][name]), known["label"])

    return select(profiles, project.selection, are_equal, information)


def describe(features: tuple[FeatureSpec, ...]) -> str:
    """How many features of each kind there are, for a sentence."""
    names = {"number": "numbers", "category": "categories", "date": "dates"}
    counts = {kind: sum(f.kind == kind for f in features) for kind in names}
    return ", ".join(f"{count} {names[kind]}" for kind, count in counts.items() if count)
