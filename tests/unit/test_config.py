"""project.yaml: what is right is read, what is wrong is explained."""

import pytest

from lockgate.config import function_of, parse_project, read_code, read_project
from lockgate.errors import ConfigError
from lockgate.project import Project

MINIMAL = "{name: demo, task: binary, data: {source: rows.csv, label: y}}"


def refused(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_project(text)
    assert caught.value.exit_code != 0
    return str(caught.value)


def test_the_smallest_project_has_defaults_for_everything_else():
    project = parse_project(MINIMAL)
    assert project.metric == "roc_auc"
    assert project.split.by == "random"
    assert project.features_of(["a", "y"]).keys() == {"a"}


@pytest.mark.parametrize(
    ("text", "key", "nearest"),
    [
        ("{modle: {}, name: demo, task: binary, data: {source: a, label: y}}", "modle", "model"),
        ("{name: demo, task: binary, data: {source: a, lable: y, label: y}}", "data.lable", "label"),
        (MINIMAL[:-1] + ", features: {temp: {mising: mean}}}", "features.temp.mising", "missing"),
        (
            MINIMAL[:-1] + ", evaluate: {costs: {false_positiv: 2}}}",
            "evaluate.costs.false_positiv",
            "false_positive",
        ),
        (MINIMAL[:-1] + ", evaluate: {slices: [{colum: a}]}}", "evaluate.slices.0.colum", "column"),
        (MINIMAL[:-1] + ", features: {max: {mising: mean}}}", "features.max.mising", "missing"),
        (MINIMAL[:-1] + ", tune: {space: {low: {hihg: 1, low: 0}}}}", "tune.space.low.hihg", "high"),
        (MINIMAL[:-1] + ", split: {test: 0.2, fold: 5}}", "split.fold", "folds"),
        (
            MINIMAL[:-1] + ", rollout: {analysis: {split_tolernce: 0.1}}}",
            "rollout.analysis.split_tolernce",
            "split_tolerance",
        ),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_known_one(text, key, nearest):
    message = refused(text)
    assert f"unknown key '{key}'" in message
    assert f"Did you mean '{nearest}'?" in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{name: demo, task: binary}", "'data' is missing"),
        ("{name: demo, task: ranking, data: {source: a, label: y}}", "task is 'ranking'"),
        ("{name: Übung, task: binary, data: {source: a, label: y}}", "lower-case letters"),
        ("[1, 2]", "holds list"),
        (MINIMAL[:-1] + ", rollout: {steps: [{weight: 50}, {weight: 25}]}}", "weights must rise"),
        (MINIMAL[:-1] + ", rollout: {analysis: {alpha: 0.7}}}", "rollout.analysis.alpha is 0.7"),
        (MINIMAL[:-1] + ", push: {strategy: canary}}", "push.strategy is 'canary'"),
        ("{name: demo", "is not YAML"),
        (MINIMAL[:-1] + ", features: {y: {}}}", "features.y is the label"),
        (MINIMAL[:-1] + ", split: {test: 0.6, tune: 0.5}}", "add up to 1.1"),
        (MINIMAL[:-1] + ", split: {train: [2013-01-01, 2013-02-01], tune: [2013-02-01, 2013-03-01], "
         "test: [2013-03-01, 2013-04-01]}}", "data.time is not set"),
        (MINIMAL[:-1] + ", tune: {space: {train.learning_rate: {low: 1}}}}", "low: and high:"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_explained(text, words):
    assert words in refused(text)


def test_overlapping_spans_are_refused_with_their_dates():
    message = refused(
        "{name: demo, task: binary, data: {source: a, label: y, time: t}, "
        "split: {train: [2013-01-01, 2013-03-01], tune: [2013-02-01, 2013-04-01], "
        "test: [2013-04-01, 2013-05-01]}}"
    )
    assert "split.train and split.tune overlap" in message


def test_an_unavailable_column_may_not_be_a_feature():
    message = refused(
        "{name: demo, task: binary, data: {source: a, label: y, unavailable: [after]}, features: {after: {}}}"
    )
    assert "known only after the prediction" in message


def test_a_missing_file_says_where_to_look(tmp_path):
    with pytest.raises(ConfigError, match=r"project\.yaml cannot be read") as caught:
        read_project(tmp_path)
    assert "lockgate run" in caught.value.next_step


def test_a_relative_source_is_resolved_beside_the_project(tmp_path):
    (tmp_path / "project.yaml").write_text(MINIMAL)
    assert read_project(tmp_path).data.source == str(tmp_path / "rows.csv")


def test_the_users_code_is_read_by_name_and_missed_by_name(tmp_path):
    project = parse_project("{name: demo, task: binary, data: {source: 'read.py:rows', label: y}}")
    with pytest.raises(ConfigError, match=r"read\.py cannot be read"):
        read_code(project, tmp_path)
    (tmp_path / "read.py").write_text("def rows(): ...\n")
    assert read_code(project, tmp_path) == {"read.py": "def rows(): ...\n"}


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("read.py:rows", ("read.py", "rows")),
        ("data/rows.csv", None),
        ("gs://bucket/rows.parquet", None),
        (None, None),
    ],
)
def test_a_function_is_told_from_a_path(name, parts):
    assert function_of(name) == parts


def test_a_step_sees_only_the_sections_that_it_reads():
    project = parse_project(MINIMAL[:-1] + ", train: {epochs: 3}, serving: {rows: 12000}}")
    seen = project.only("train")
    assert seen.train.epochs == 3
    assert seen.serving == Project.model_fields["serving"].default
    assert Project.model_validate_json(seen.model_dump_json(exclude_defaults=True)) == seen


@pytest.mark.parametrize(
    "where", ["evaluate: {metric: rocauc}", "evaluate: {rules: {minimum: {rocauc: 0.6}}}"]
)
def test_a_misspelt_metric_is_refused_before_anything_runs(tmp_path, where):
    (tmp_path / "project.yaml").write_text(MINIMAL[:-1] + f", {where}}}")
    with pytest.raises(ConfigError, match="'rocauc', which a binary task does not have"):
        read_project(tmp_path)


def test_a_file_that_is_not_utf8_is_named_with_the_byte(tmp_path):
    (tmp_path / "project.yaml").write_bytes(b"name: caf\xe9")
    with pytest.raises(ConfigError, match="is not UTF-8: byte 9 is 0xe9"):
        read_project(tmp_path)
