from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lockgate.data.profile import NumberProfile
from lockgate.errors import ConfigError, DataError, GateClosed
from lockgate.features.constants import constants_of, embedding_width
from lockgate.features.fit import fit
from lockgate.features.layout import file_columns
from lockgate.features.materialise import materialise
from lockgate.features.raw import MISSING_DATE, encode
from lockgate.features.spec import TransformSpec
from lockgate.project import Feature, Project
from lockgate.records import Check, Verdict
from lockgate.steps.transform import refuse_closed
from lockgate.workspace import Workspace
from tests.unit.training_data import make_profile, make_snapshot

START = datetime(2013, 1, 1)


def rows(count: int, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(100, 20, count)
    return pl.DataFrame(
        {
            "x": [None if i % 10 == 0 else v for i, v in enumerate(x)],
            "skewed": np.exp(rng.normal(0, 3, count)),
            "carrier": rng.choice(["AA", "UA", "Ñandú", None], count, p=[0.5, 0.3, 0.1, 0.1]),
            "when": [START + timedelta(hours=int(h)) for h in rng.integers(0, 8760, count)],
            "copy": x,
            "still": [7] * count,
            "y": rng.random(count) < 0.3,
        }
    )


FEATURES = {
    "x": {"missing": "flag_mean", "bins": 4},
    "skewed": {"log": True, "clip": [0.01, 0.99]},
    "carrier": {"embedding": 3},
    "when": {"parts": ["month", "weekday", "hour", "minute"]},
    "copy": {},
    "still": {},
}


def project_of(**more: object) -> Project:
    base = {"name": "t", "task": "binary", "data": {"source": "x.csv", "label": "y"}, "features": FEATURES}
    return Project.model_validate(base | more)


def fitted(folder: Path, project: Project, frames: dict[str, list[pl.DataFrame]]) -> TransformSpec:
    workspace = Workspace(folder)
    return fit(project, workspace, make_snapshot(workspace, frames), make_profile(project, frames))


@pytest.fixture
def frames() -> dict[str, list[pl.DataFrame]]:
    return {"train": [rows(300, 1), rows(200, 2)], "tune": [rows(50, 3)], "test": [rows(60, 4)]}


def test_every_feature_gets_its_constants_from_the_training_rows(tmp_path: Path, frames: dict) -> None:
    from lockgate.features.preprocess import build

    project = project_of(crosses=[{"of": ["carrier", "x"]}, {"of": ["carrier", "when.hour"], "bins": 10}])
    spec = fitted(tmp_path, project, frames)
    train = pl.concat(frames["train"])
    found = {k: np.asarray(v) for k, v in build(spec)(encode(train, spec.columns)).items()}
    block = dict(zip(spec.numbers, found["numbers"].T, strict=True))

    x = train["x"]
    expected = ((x.fill_null(x.mean()) - x.mean()) / x.std(ddof=0)).to_numpy()
    np.testing.assert_allclose(block["x"], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(block["x missing"], x.is_null().cast(pl.Float32).to_numpy())
    assert abs(block["skewed"].mean()) < 0.05
    assert 0.9 < block["skewed"].std() < 1.1

    category = {c.name: c for c in spec.categories}
    hours = found[category["when.hour"].input]
    np.testing.assert_array_equal(hours, train["when"].dt.hour().to_numpy() + 2)
    np.testing.assert_array_equal(
        found[category["when.weekday"].input], train["when"].dt.weekday().to_numpy() + 1
    )
    angle = 2 * np.pi * (train["when"].dt.month().to_numpy() - 1) / 12
    np.testing.assert_allclose(block["when.month sine"], np.sin(angle), atol=1e-6)

    order = ["", "*", "AA", "UA", "Ñandú"]
    carrier = [order.index(v or "") for v in train["carrier"]]
    np.testing.assert_array_equal(found[category["carrier"].input], carrier)
    bins = found[category["x"].input]
    assert set(bins[x.is_null().to_numpy()]) == {0}
    assert np.bincount(bins)[1:].min() > 100  # four bins of about 112 known values each
    np.testing.assert_array_equal(found["carrier_x_x"], np.array(carrier) * category["x"].places + bins)
    assert category["carrier_x_x"].places == 5 * category["x"].places
    hashed = category["carrier_x_when_hour"]
    assert hashed.places == 10
    assert len(set(found[hashed.input])) == 10
    for c in spec.categories:
        assert found[c.input].dtype == np.int32
        assert 0 <= found[c.input].min() <= found[c.input].max() < c.places


def test_dropped_features_say_why(tmp_path: Path) -> None:
    frame = rows(400, 5).with_columns(
        twin=pl.col("copy"),
        nothing=pl.lit(None, dtype=pl.Float64),
        signal=pl.col("y").cast(pl.Int8) * 3 + pl.int_range(400) % 2,
    )
    names = dict.fromkeys([*FEATURES, "twin", "nothing", "signal"])
    project = project_of(features=names, selection={"min_information": 0.05, "keep": ["x"]})
    spec = fitted(tmp_path, project, {"train": [frame]})
    reasons = {d.name: d.reason for d in spec.dropped}
    assert reasons["still"] == "It is 7 in every training row."
    assert reasons["nothing"] == "It has no value in any of the 400 training rows."
    assert "below 0.05" in reasons["carrier"]
    assert [f.name for f in spec.features] == ["x", "signal"]

    plain = fitted(tmp_path, project_of(features=names), {"train": [frame]})
    assert {d.name: d.reason for d in plain.dropped}[
        "twin"
    ] == "It is the same as copy in every training row."
    almost = frame.with_columns(twin=pl.col("copy").reverse())
    kept = fitted(tmp_path, project_of(features=names), {"train": [almost]})
    assert "twin" not in {d.name for d in kept.dropped}


def test_principal_components_decorrelate_the_numbers(tmp_path: Path, frames: dict) -> None:
    from lockgate.features.preprocess import build

    spec = fitted(tmp_path, project_of(selection={"components": 2}), frames)
    assert spec.components is not None
    assert spec.numbers[:3] == ("component 1", "component 2", "x missing")
    train = pl.concat(frames["train"])
    block = np.asarray(build(spec)(encode(train, spec.columns))["numbers"])[:, :2]
    assert abs(np.corrcoef(block.T)[0, 1]) < 1e-3
    assert spec.components.explained[0] > spec.components.explained[1]
    with pytest.raises(ConfigError, match="only 3 numbers"):
        fitted(tmp_path, project_of(selection={"components": 9}), frames)


def test_materialised_rows_keep_their_order_and_leave_out_those_without_a_label(
    tmp_path: Path, frames: dict
) -> None:
    from lockgate.features.preprocess import build

    holes = [f.with_columns(y=pl.when(pl.int_range(pl.len()) % 7 > 0).then("y")) for f in frames["train"]]
    frames = {**frames, "train": holes}
    workspace = Workspace(tmp_path)
    snapshot, project = make_snapshot(workspace, frames), project_of()
    spec = fit(project, workspace, snapshot, make_profile(project, frames))
    folder = tmp_path / "features" / "train"
    written = materialise(project, workspace, snapshot, spec, split="train", folder=folder)
    found = pl.read_parquet(sorted(folder.glob("*.parquet")))
    known = pl.concat(holes).filter(pl.col("y").is_not_null())
    assert written == found.height == known.height
    assert tuple(found.columns) == file_columns(spec)
    np.testing.assert_array_equal(found["label"].to_numpy(), known["y"].cast(pl.Float32).to_numpy())
    expected = np.asarray(build(spec)(encode(known, spec.columns))["numbers"])
    np.testing.assert_allclose(found.select(spec.numbers).to_numpy(), expected, rtol=1e-5, atol=1e-6)


def test_dates_agree_with_the_calendar_from_the_year_1_to_9999() -> None:
    from lockgate.features.calendar import part_of

    rng = np.random.default_rng(0)
    first, last = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
    seconds = rng.integers(int(first.timestamp()), int(last.timestamp()), 3000)
    times = pl.from_epoch(pl.Series(seconds), time_unit="s").dt
    expected = {
        "month": times.month() - 1,
        "day": times.day() - 1,
        "day_of_year": times.ordinal_day() - 1,
        "weekday": times.weekday() - 1,
        "hour": times.hour(),
        "minute": times.minute(),
    }
    for part, values in expected.items():
        np.testing.assert_array_equal(np.asarray(part_of(seconds, part)), values.to_numpy(), err_msg=part)
    edge = np.array([MISSING_DATE + 1, np.iinfo(np.int64).max])
    for part, most in {
        "month": 11,
        "day": 30,
        "day_of_year": 365,
        "weekday": 6,
        "hour": 23,
        "minute": 59,
    }.items():
        assert all(0 <= v <= most for v in np.asarray(part_of(edge, part))), part


def test_constants_survive_columns_without_spread_or_value() -> None:
    empty = NumberProfile(
        rows=3, missing=3, infinite=0, zeros=0, quantiles=(), is_integer=False,
        mean=float("nan"), std=float("nan"), min=float("nan"), max=float("nan"),
    )  # fmt: skip
    assert constants_of("x", empty, Feature()).std == 1.0
    flat = empty.model_copy(update={"missing": 1, "mean": 5.0, "std": 0.0, "quantiles": (5.0,) * 1001})
    spec = constants_of("x", flat, Feature(bins=8))
    assert (spec.mean, spec.std, spec.fill, spec.boundaries, spec.flag) == (5.0, 1.0, 5.0, (), True)


def test_settings_that_do_not_fit_are_refused(tmp_path: Path, frames: dict) -> None:
    with pytest.raises(ConfigError, match=r"features.carrier.log is set, but carrier is a category"):
        fitted(tmp_path, project_of(features={"carrier": {"log": True}}), frames)
    with pytest.raises(ConfigError, match="Did you mean 'carrier'"):
        fitted(tmp_path, project_of(features={"carier": {}}), frames)
    with pytest.raises(ConfigError, match="names 'copy', which is not a category"):
        fitted(tmp_path, project_of(crosses=[{"of": ["carrier", "copy"]}]), frames)
    with pytest.raises(DataError, match="all have the label True"):
        fitted(tmp_path, project_of(), {"train": [rows(50, 1).with_columns(y=pl.lit(True))]})
    with pytest.raises(DataError, match="None of the 1 features is left"):
        fitted(tmp_path, project_of(features={"still": {}}), frames)


def test_embeddings_grow_with_the_vocabulary() -> None:
    assert [embedding_width(n) for n in (2, 12, 13, 100, 10**6)] == [0, 0, 7, 21, 50]


def test_a_closed_gate_stops_the_transform_and_names_the_checks() -> None:
    bad = Check(
        rule="leakage", subject="dep_delay", severity="error", passed=False, message="AUC 0.97 > 0.9."
    )
    refuse_closed(Verdict(gate="data", checks=(bad.model_copy(update={"severity": "warning"}),)))
    with pytest.raises(GateClosed, match=r"leakage.*AUC 0.97"):
        refuse_closed(Verdict(gate="data", checks=(bad,)))
