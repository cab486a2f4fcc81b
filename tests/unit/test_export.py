import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lockgate.errors import ServingError
from lockgate.features.fit import fit
from lockgate.features.raw import encode
from lockgate.features.spec import TransformSpec
from lockgate.project import Project
from lockgate.training.predict import load, training_path
from lockgate.training.spec import OUTPUTS, ModelSpec
from lockgate.workspace import Workspace
from tests.unit.training_data import make_profile, make_snapshot

NUMBER = st.none() | st.floats(width=32) | st.sampled_from([3.4e38, -3.4e38, 1e-38])
TEXT = st.none() | st.sampled_from(["AA", "UA", "", " ", "Ñandú", "\u0000", "🛫"]) | st.text(max_size=8)
DATE = st.none() | st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31))
ROW = st.fixed_dictionaries({"température": NUMBER, "wind speed": NUMBER, "carrier": TEXT, "when": DATE})
SCHEMA = {
    "température": pl.Float64,
    "wind speed": pl.Float64,
    "carrier": pl.String,
    "when": pl.Datetime("us"),
}


def train_frame() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    n = 400
    return pl.DataFrame(
        {
            "température": [None if i % 9 == 0 else float(v) for i, v in enumerate(rng.normal(12, 8, n))],
            "wind speed": np.exp(rng.normal(0, 2, n)),
            "carrier": rng.choice(["AA", "UA", "Ñandú"], n),
            "when": [dt.datetime(2013, 1, 1) + dt.timedelta(hours=int(h)) for h in rng.integers(0, 8000, n)],
            "y": rng.choice(["a", "b", "c"], n),
        }
    )


def exported(folder: Path, task: str) -> tuple[Path, TransformSpec]:
    from lockgate.training.export import export
    from lockgate.training.network import build_network

    frame = train_frame()
    if task == "binary":
        frame = frame.with_columns(y=pl.col("y") == "a")
    if task == "regression":
        frame = frame.with_columns(y=pl.col("wind speed") * 100)
    project = Project.model_validate(
        {
            "name": "t",
            "task": task,
            "data": {"source": "x", "label": "y"},
            "features": {
                "température": {"bins": 5},
                "wind speed": {"log": True, "clip": [0.01, 0.99]},
                "carrier": {"embedding": 2},
                "when": {"parts": ["month", "day_of_year", "weekday", "hour", "minute"]},
            },
            "crosses": [{"of": ["carrier", "when.hour", "température"], "bins": 50, "embedding": 2}],
            "model": {"hidden": [8], "members": 2},
        }
    )
    workspace = Workspace(folder)
    frames = {"train": [frame]}
    spec = fit(project, workspace, make_snapshot(workspace, frames), make_profile(project, frames))
    network = build_network(project, {}, spec)
    rng = np.random.default_rng(1)
    network.set_weights(
        [w + 0.3 * rng.standard_normal(w.shape).astype(w.dtype) for w in network.get_weights()]
    )
    card = ModelSpec(
        name="t",
        task=task,
        label="y",
        classes=spec.label.classes,
        inputs=spec.columns,
        output=OUTPUTS[task],
        snapshot="c" * 64,
        metric=project.metric,
        rows=400,
        parameters=network.count_params(),
    )
    export(folder / "model", spec, network, card)
    return folder / "model", spec


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> tuple:
    folder, spec = exported(tmp_path_factory.mktemp("export"), "multiclass")
    return spec, load(folder), training_path(folder)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=st.lists(ROW, min_size=1, max_size=20))
def test_training_and_serving_agree_on_any_rows(paths: tuple, rows: list[dict]) -> None:
    spec, serving, training = paths
    tensors = encode(pl.DataFrame(rows, schema=SCHEMA), spec.columns)
    served, trained = serving(tensors), training(tensors)
    assert served.shape == (len(rows), 3)
    assert np.isfinite(served).all()
    np.testing.assert_allclose(served.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(served, trained, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_each_task_answers_in_its_own_terms(tmp_path: Path, task: str) -> None:
    folder, spec = exported(tmp_path, task)
    tensors = encode(train_frame(), spec.columns)
    served = load(folder)(tensors)
    assert served.shape == (400,)
    assert served.dtype == np.float32
    np.testing.assert_allclose(served, training_path(folder)(tensors), rtol=1e-4, atol=1e-5)
    if task == "binary":
        assert 0 < served.min() < served.max() < 1
    else:
        label = train_frame()["wind speed"] * 100
        assert abs(served.mean() - label.mean()) < 2 * label.std()


def test_a_folder_without_a_saved_model_is_explained(tmp_path: Path) -> None:
    folder, _ = exported(tmp_path, "binary")
    (folder / "saved_model" / "saved_model.pb").unlink()
    with pytest.raises(ServingError, match="cannot be loaded"):
        load(folder)
