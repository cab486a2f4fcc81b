"""The demo's requests: which rows, and what came true of them."""

from datetime import timedelta
from hashlib import blake2b

import orjson
import polars as pl
import pytest

from lockgate.features.raw import RawColumn
from lockgate.run_folder import RunFolder
from lockgate.training.spec import ModelSpec
from serving.laptop.demo import requests
from tests.data.runs import START, collected_frame, rows

INPUTS = (
    RawColumn(name="born", kind="date", tensor="born"),
    RawColumn(name="size", kind="number", tensor="size"),
)
# The year's last two months are the test split, and there is no live one.
TEST = START + timedelta(days=305)


def asked(tmp_path, frame, **data):
    """The requests from such rows."""
    workspace, snapshot, project = collected_frame(tmp_path, frame, data=data)
    run = RunFolder(tmp_path / "run")
    place = run.path / "attempt/collect"
    place.mkdir(parents=True)
    (tmp_path / "snapshot").rename(place / "snapshot")
    classes = ("true", "false") if project.data.positive is False else ("false", "true")
    spec = ModelSpec(
        name="m", task="binary", label="late", classes=classes, positive=project.data.positive, inputs=INPUTS,
        output="probability", snapshot=snapshot.content, metric="roc_auc", rows=1, parameters=1,
    )  # fmt: skip
    spec.save(tmp_path / "model.json")
    return requests(project, workspace, run, tmp_path, 10)


def table():
    """Rows with another date before the time column, which says nothing of when a row happened."""
    frame = rows()
    return frame.with_columns(born=pl.Series([START - timedelta(days=i % 977) for i in range(frame.height)]))


def test_the_requests_are_the_first_month_by_the_time_column_in_any_order(tmp_path):
    frame = table()
    sizes = [orjson.loads(body)["instances"][0]["size"] for body in asked(tmp_path, frame).bodies]
    test = frame.filter(pl.col("when") >= TEST).sort("when")
    first = test.filter(pl.col("when") < test["when"].min() + timedelta(days=31))
    assert 0 < first.height < test.height
    assert sorted(sizes) == pytest.approx(sorted(first["size"].to_list()))
    # A stretch of the requests is of the same mix as all of them: no part of the month comes first.
    place = {size: i for i, size in enumerate(first["size"].to_list())}
    half = [place[size] for size in sizes[: len(sizes) // 2]]
    assert abs(sum(half) / len(half) / first.height - 0.5) < 0.1


@pytest.mark.parametrize("positive", [None, True, False])
def test_what_came_true_is_the_label_also_where_nobody_names_the_positive_value(tmp_path, positive):
    frame = table()
    given = asked(tmp_path, frame, **({} if positive is None else {"positive": positive}))
    late = dict(frame.select("size", "late").iter_rows())
    assert given.labelled is not None
    truths = [given.labelled.truths[blake2b(body, digest_size=8).hexdigest()] for body in given.bodies]
    found = [late[orjson.loads(body)["instances"][0]["size"]] for body in given.bodies]
    assert {0, 1} == set(truths)
    assert truths == [int(value is not (positive is False)) for value in found]


def test_a_row_without_a_label_is_sent_and_nothing_is_known_of_it(tmp_path):
    frame = table().with_columns(
        late=pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.col("late")).otherwise(None)
    )
    given = asked(tmp_path, frame)
    assert len(given.labelled.truths) == pytest.approx(len(given.bodies) / 2, abs=1)
