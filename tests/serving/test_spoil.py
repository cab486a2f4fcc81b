"""Bad copies of good models: each is bad in its one way, only for live rows, and served as any model is."""

import json
import signal
import time
from datetime import UTC, datetime

import httpx
import numpy as np
import psutil
import pytest

from lockgate.errors import ServingError
from lockgate.shipping.folder import (
    CARD,
    Example,
    ServingSpec,
    check_digest,
    folder_digest,
    stage,
)
from lockgate.shipping.record import ModelCard
from lockgate.shipping.server import running
from lockgate.training.spec import ModelSpec
from serving.laptop.spoil import spoil

TASKS = ("binary", "multiclass", "regression")
ROW = {"distance": 500, "carrier": "UA", "Zeit é": "2013-10-01T05:15:00Z"}
ROWS = [{**ROW, "distance": i, "carrier": c} for i in range(1, 400) for c in ("UA", "AA", None)]
PATH = "/v1/models/tiny:predict"


@pytest.fixture(scope="module")
def pushed(exported, tmp_path_factory):
    """A model folder with its card, named by its digest, per task."""
    made = {}

    def get(task):
        if task not in made:
            models = tmp_path_factory.mktemp("models")
            stage(exported(task), ServingSpec(threshold=0.6), Example(row=ROW), models / "draft")
            digest = folder_digest(models / "draft")
            made[task] = (models / "draft").rename(models / digest)
            card_of(made[task], digest).save(made[task] / CARD)
        return made[task]

    return get


def card_of(folder, digest):
    spec = ModelSpec.load(folder / "model.json")
    return ModelCard(
        content=digest, name="tiny", task=spec.task, created=datetime(2026, 1, 1, tzinfo=UTC), version="0",
        snapshot=spec.snapshot, source="test", rows={}, label=spec.label, classes=spec.classes,
        features=tuple(c.name for c in spec.inputs), metric=spec.metric, metrics=(), verdicts=(),
        limits=("It is small.",),
    )  # fmt: skip


def scorer(folder):
    from serving.runtime.scorer import Scorer

    loaded = Scorer(folder)
    loaded.warm_up([1, 2, 5, 40])
    return loaded


def scores(loaded, rows):
    return loaded.scores(loaded.packing.of_rows(rows))


def seconds_of(loaded, count=5):
    """The shortest of some calls."""
    taken = []
    for _ in range(count):
        started = time.perf_counter()
        scores(loaded, [ROW])
        taken.append(time.perf_counter() - started)
    return min(taken)


def send(url, row):
    return httpx.post(url + PATH, content=json.dumps({"instances": [row]}), trust_env=False, timeout=30)


@pytest.mark.parametrize("task", TASKS)
def test_a_copy_has_its_own_digest_and_says_what_was_done(pushed, tmp_path, task):
    model = pushed(task)
    bad = spoil(model, tmp_path, "errors")
    assert bad.parent == tmp_path
    assert bad.name == folder_digest(bad) != model.name
    assert list(tmp_path.iterdir()) == [bad]
    card = ModelCard.load(bad / CARD)
    limits = ("It was spoiled on purpose: a share of 0.1 of the rows gets no score.", "It is small.")
    assert (card.content, card.limits) == (bad.name, limits)
    assert ServingSpec.of(bad) == ServingSpec.of(model)
    check_digest(model)


@pytest.mark.parametrize("task", TASKS)
def test_errors_hit_a_share_of_the_rows_always_the_same_and_not_the_example(pushed, tmp_path, task):
    good, bad = scorer(pushed(task)), scorer(spoil(pushed(task), tmp_path, "errors"))
    wanted, given = scores(good, ROWS), scores(bad, ROWS)
    hit = np.isnan(given).reshape(len(ROWS), -1).all(axis=1)
    assert 0.05 < hit.mean() < 0.15
    assert np.array_equal(given[~hit], wanted[~hit])
    alone = [bool(np.isnan(scores(bad, [row])).all()) for row in ROWS[:100]]
    assert alone == hit[:100].tolist()
    assert np.isfinite(scores(scorer(spoil(pushed(task), tmp_path, "errors", 1.0)), [ROW])).all()


def test_a_server_answers_500_to_the_rows_that_get_no_score(pushed, tmp_path):
    bad = spoil(pushed("binary"), tmp_path, "errors", 0.3)
    hit = np.isnan(scores(scorer(bad), ROWS[:60]))
    with running(bad, "tiny") as server:
        codes = [send(server.url, row).status_code for row in ROWS[:60]]
        assert send(server.url, ROW).status_code == 200
    assert codes == [500 if each else 200 for each in hit]
    assert 0 < hit.sum() < 60


@pytest.mark.parametrize("task", TASKS)
def test_slow_calls_take_longer_and_score_alike(pushed, tmp_path, task):
    good, bad = scorer(pushed(task)), scorer(spoil(pushed(task), tmp_path, "slow"))
    assert seconds_of(good) < 0.025 <= seconds_of(bad)
    assert np.array_equal(scores(bad, ROWS), scores(good, ROWS))


@pytest.mark.parametrize("by", [0.5, -1.0])
def test_skewed_scores_are_shifted_on_their_scale(pushed, tmp_path, by):
    def pair(task):
        bad = spoil(pushed(task), tmp_path, "skewed", by)
        return [scores(scorer(folder), ROWS) for folder in (pushed(task), bad)]

    good, bad = pair("binary")
    np.testing.assert_allclose(np.log(bad / (1 - bad)), np.log(good / (1 - good)) + by, atol=1e-4)
    good, bad = pair("multiclass")
    np.testing.assert_allclose(np.log(bad[:, 0] / bad[:, 1]), np.log(good[:, 0] / good[:, 1]) + by, atol=1e-4)
    np.testing.assert_allclose(bad.sum(axis=1), 1, atol=1e-6)
    good, bad = pair("regression")
    np.testing.assert_allclose(bad, good + by, rtol=1e-6)


def test_a_crashing_server_is_ready_answers_the_example_and_some_live_rows_then_ends(pushed, tmp_path):
    with running(spoil(pushed("multiclass"), tmp_path, "crash", 20), "tiny") as server:
        assert {send(server.url, ROW).status_code for _ in range(40)} == {200}
        assert [send(server.url, row).status_code for row in ROWS[:20]] == [200] * 20
        process = psutil.Process(server.pid)
        with pytest.raises(httpx.RemoteProtocolError):
            send(server.url, ROWS[20])
        assert process.wait(10) == -signal.SIGABRT


def test_memory_grows_with_live_rows_alone(pushed, tmp_path):
    with running(spoil(pushed("multiclass"), tmp_path, "memory", 4), "tiny") as server:
        ready = server.memory_mb()
        assert {send(server.url, ROW).status_code for _ in range(40)} == {200}
        assert server.memory_mb() - ready < 40
        before = server.memory_mb()
        assert {send(server.url, row).status_code for row in ROWS[:40]} == {200}
        assert 150 < server.memory_mb() - before < 250


def test_what_cannot_be_spoiled_is_refused(pushed, exported, tmp_path):
    with pytest.raises(ServingError, match="'wrong' is no fault"):
        spoil(pushed("binary"), tmp_path, "wrong")
    with pytest.raises(ServingError, match="is not a model folder"):
        spoil(tmp_path, tmp_path, "slow")
    with pytest.raises(ServingError, match=r"has no example\.json"):
        spoil(exported("binary"), tmp_path, "slow")
