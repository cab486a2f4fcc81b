"""TFDV understands our statistics: the same schema and the same anomalies as from its own."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tensorflow_metadata.proto.v0.anomalies_pb2 import Anomalies
from tensorflow_metadata.proto.v0.schema_pb2 import Schema

from lockgate.data import schema
from lockgate.data.checks.rules import RULES
from lockgate.data.checks.schema import RULES_BY_TYPE, schema_checks
from lockgate.data.profile import Profile
from lockgate.data.protos import dataset, statistics_list
from lockgate.data.tfdv import PYTHON_VARIABLE, Tfdv, python_with_tfdv
from lockgate.errors import ConfigError, LockgateError
from lockgate.records import Check
from tests.data.runs import needs_tfdv, profiled, rows

TFDV_OWN = """
import sys
import pyarrow.parquet as pq
import tensorflow_data_validation as tfdv
frame = pq.read_table(sys.argv[1]).to_pandas()
statistics = tfdv.generate_statistics_from_dataframe(frame)
open(sys.argv[2], "wb").write(statistics.SerializeToString())
"""


def mixed(n: int = 4000) -> pl.DataFrame:
    rng = np.random.default_rng(3)
    frame = rows(n).with_columns(
        holes=pl.Series(np.where(rng.random(n) < 0.2, np.nan, rng.gamma(2, size=n))).fill_nan(None),
        many=pl.Series([f"v{i}" for i in rng.integers(0, 500, n)]),
        some=pl.when(pl.col("count") > 5).then("colour"),
        nothing=pl.lit(None, pl.String),
        late=pl.col("late").cast(pl.Int8),
    )
    return frame.drop("when").with_columns(when=rows(n).get_column("when"))


def numbers(tmp_path: Path, frame: pl.DataFrame) -> Profile:
    """Everything in train but three rows, so that train is as good as the whole."""
    return profiled(tmp_path, frame, data={"label": "late"}, task="regression")[0]


@needs_tfdv
def test_our_statistics_are_as_tfdvs_own(tmp_path: Path) -> None:
    from tensorflow_metadata.proto.v0.statistics_pb2 import DatasetFeatureStatisticsList

    learnt = numbers(tmp_path, mixed())
    ours = dataset(learnt, "train")
    train = mixed().filter(pl.col("when") < pl.datetime(2024, 9, 1)).drop("when", "nothing")
    train.write_parquet(tmp_path / "train.parquet")
    target = tmp_path / "theirs.pb"
    subprocess.run(
        [python_with_tfdv(), "-c", TFDV_OWN, tmp_path / "train.parquet", target],
        check=True,
        capture_output=True,
    )
    theirs = DatasetFeatureStatisticsList.FromString(target.read_bytes()).datasets[0]

    assert ours.num_examples == theirs.num_examples
    mine = {feature.path.step[0]: feature for feature in ours.features}
    for other in theirs.features:
        feature = mine[other.path.step[0]]
        assert feature.type == other.type
        kind = other.WhichOneof("stats")
        assert feature.WhichOneof("stats") == kind
        a, b = getattr(feature, kind), getattr(other, kind)
        assert a.common_stats.num_non_missing == b.common_stats.num_non_missing
        assert a.common_stats.num_missing == b.common_stats.num_missing
        assert a.common_stats.tot_num_values == b.common_stats.tot_num_values
        if kind == "num_stats":
            for name in ("mean", "std_dev", "num_zeros", "min", "max"):
                assert getattr(a, name) == pytest.approx(getattr(b, name), rel=1e-9), name
            assert a.median == pytest.approx(b.median, abs=0.02 * a.std_dev)
            for one, two in zip(a.histograms, b.histograms, strict=True):
                assert one.type == two.type
                counts = [[bucket.sample_count for bucket in h.buckets] for h in (one, two)]
                assert np.cumsum(counts[0]) == pytest.approx(np.cumsum(counts[1]), abs=0.02 * train.height)
        else:
            assert a.unique == b.unique
            assert a.avg_length == pytest.approx(b.avg_length)
            assert sorted(v.frequency for v in a.top_values) == sorted(v.frequency for v in b.top_values)
            ranks = [{r.label: r.sample_count for r in s.rank_histogram.buckets} for s in (a, b)]
            assert ranks[0] == ranks[1]
    tfdv = Tfdv()
    wanted, inferred = ({f.name: f for f in tfdv.infer(d).feature} for d in (theirs, ours))
    for name, feature in wanted.items():
        assert inferred[name] == feature


@needs_tfdv
def test_compiled_part_alone_answers_as_the_public_api(tmp_path: Path) -> None:
    """One process each, because the public API takes long to import."""
    learnt = numbers(tmp_path, mixed(1000))
    train, test = dataset(learnt, "train"), dataset(learnt, "test")
    inferred = Tfdv().infer(train)
    del inferred.feature[0]
    inferred.string_domain[0].value.remove("red")
    questions = [
        {"do": "infer", "dataset": train},
        {"do": "update", "dataset": test, "schema": inferred},
        {"do": "validate", "dataset": test, "schema": inferred},
    ]
    compiled, public = (Tfdv(public_api=flag).ask(questions) for flag in (False, True))
    for kind, one, two in zip((Schema, Schema, Anomalies), compiled, public, strict=True):
        assert kind.FromString(one) == kind.FromString(two)
    assert len(Anomalies.FromString(compiled[2]).anomaly_info) >= 2


def judged(tmp_path: Path, reviewed: pl.DataFrame, later: pl.DataFrame) -> list[Check]:
    tfdv = Tfdv()
    text = schema.accepted(profiled(tmp_path / "a", reviewed)[0], "", tfdv)
    learnt = profiled(tmp_path / "b", later)[0]
    found = schema.anomalies(schema.parse(text), learnt, tfdv)
    return [c for c in schema_checks(found, True, len(later.columns)) if not c.passed]


@needs_tfdv
def test_what_was_accepted_passes(tmp_path: Path) -> None:
    assert judged(tmp_path, rows(), rows()) == []


@needs_tfdv
@pytest.mark.parametrize(
    ("change", "rule", "severity"),
    [
        (pl.col("size").cast(pl.String), "schema_type", "error"),
        (pl.col("colour").str.len_bytes().cast(pl.Int64), "schema_type", "error"),
        (pl.when(pl.col("count") > 3).then(pl.col("size")).alias("size"), "schema_presence", "warning"),
        (pl.col("colour").replace("red", "purple"), "schema_domain", "warning"),
    ],
)
def test_changes_are_found(tmp_path: Path, change: pl.Expr, rule: str, severity: str) -> None:
    found = judged(tmp_path, rows(), rows().with_columns(change))
    assert {(c.rule, c.severity) for c in found} == {(rule, severity)}
    assert all("lockgate schema accept" in c.advice for c in found)


@needs_tfdv
def test_columns_that_come_and_go(tmp_path: Path) -> None:
    found = judged(tmp_path, rows(), rows().rename({"size": "größe"}))
    assert {(c.rule, c.severity, c.subject.split()[0]) for c in found} == {
        ("schema_column", "error", "size"),
        ("schema_new_column", "warning", "größe"),
    }


@needs_tfdv
def test_accepting_widens_the_reviewed_schema_only_where_needed(tmp_path: Path) -> None:
    tfdv = Tfdv()
    first = schema.accepted(profiled(tmp_path / "a", rows())[0], "", tfdv)
    assert schema.accepted(profiled(tmp_path / "a", rows())[0], first, tfdv) == first
    changed = rows().with_columns(pl.col("colour").replace("red", "purple"))
    second = schema.accepted(profiled(tmp_path / "b", changed)[0], first, tfdv)
    assert set(second.splitlines()) - set(first.splitlines()) == {'  value: "purple"'}
    assert '"red"' in second


def test_schema_text_that_is_none() -> None:
    with pytest.raises(ConfigError, match=r"my\.pbtxt is not a schema"):
        schema.parse("feature { nmae: 'a' }", "my.pbtxt")


def test_no_tfdv_names_make_and_the_image(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if python_is_ours():
        pytest.skip("TFDV is in this very environment")
    monkeypatch.setenv(PYTHON_VARIABLE, str(tmp_path / "none"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    with pytest.raises(ConfigError) as caught:
        python_with_tfdv()
    assert "make" in caught.value.next_step
    assert "container image" in caught.value.next_step


def python_is_ours() -> bool:
    import importlib.util

    return importlib.util.find_spec("tensorflow_data_validation") is not None


def test_python_without_tfdv_says_so(tmp_path: Path) -> None:
    if python_is_ours():
        pytest.skip("TFDV is in this very environment")
    learnt = profiled(tmp_path, rows(300))[0]
    with pytest.raises(LockgateError, match="no tensorflow_data_validation"):
        schema.infer(learnt, Tfdv(Path(sys.executable)))


def test_every_kind_of_anomaly_has_a_rule_that_exists() -> None:
    from tensorflow_metadata.proto.v0.anomalies_pb2 import AnomalyInfo

    assert set(RULES_BY_TYPE) <= set(AnomalyInfo.Type.keys())
    assert set(RULES_BY_TYPE.values()) <= set(RULES)


def test_one_dataset_a_split(tmp_path: Path) -> None:
    learnt = profiled(tmp_path, rows())[0]
    assert [d.name for d in statistics_list(learnt).datasets] == list(learnt.splits)
    assert json.loads(learnt.model_dump_json())["snapshot"] == learnt.snapshot
