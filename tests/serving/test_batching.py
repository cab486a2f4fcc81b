"""Requests that arrive together are scored together, and each gets what it would get alone."""

import asyncio
import threading

import numpy as np
import polars as pl
import pytest

from lockgate.shipping.mutate import mutated
from lockgate.shipping.rows import json_values, v1_instances, v2_inputs
from lockgate.training.spec import ModelSpec
from serving.runtime.batcher import BATCH_ROWS, INLINE_ROWS, Batcher, Overloaded, sizes
from serving.runtime.metrics import Metrics, score_bounds
from serving.runtime.scorer import Scorer

ROW = {"distance": 500, "carrier": "UA", "Zeit é": 1380604500}


@pytest.fixture(scope="module")
def scorer(exported):
    return Scorer(exported())


@pytest.fixture
def metrics(scorer):
    return Metrics(scorer.spec, "tiny", "0" * 64, score_bounds(scorer.spec, scorer.folder))


def rows(count, start=0):
    return [{**ROW, "distance": 17 * (start + i) - 2000, "carrier": f"C{i % 7}"} for i in range(count)]


def alone(scorer, some):
    return scorer.answer(scorer.scores(scorer.packing.of_rows(some))).columns["probability"]


async def together(batcher, scorer, requests):
    asked = (batcher.score(scorer.packing.of_rows(some)) for some in requests)
    return await asyncio.gather(*asked, return_exceptions=True)


def test_requests_that_arrive_together_share_a_call_and_keep_their_rows(scorer, metrics):
    requests = [rows(1 + i % 5, start=10 * i) for i in range(40)]
    slices = asyncio.run(together(Batcher(scorer, metrics), scorer, requests))
    assert sum(metrics._requests.counts) == 1
    assert metrics._rows.total == sum(map(len, requests))
    for some, answer in zip(requests, slices, strict=True):
        np.testing.assert_allclose(answer.columns()["probability"], alone(scorer, some), rtol=1e-5, atol=1e-6)
        assert [p["probability"] for p in answer.predictions()] == answer.columns()["probability"].tolist()


def test_a_call_has_at_most_so_many_rows_and_a_request_is_never_divided(scorer, metrics):
    requests = [rows(10, start=i) for i in range(10)]
    batcher = Batcher(scorer, metrics, batch_rows=25)
    slices = asyncio.run(together(batcher, scorer, requests))
    assert sum(metrics._rows.counts) == 5  # twenty rows each
    assert [len(s.predictions()) for s in slices] == [10] * 10


def test_rows_that_the_model_cannot_score_fail_their_own_request_alone(scorer, metrics):
    requests = [rows(2), [{**ROW, "carrier": "poison"}, ROW], rows(3, start=5)]
    first, bad, last = asyncio.run(together(Batcher(scorer, metrics), scorer, requests))
    assert isinstance(bad, ArithmeticError)
    np.testing.assert_allclose(first.columns()["probability"], alone(scorer, requests[0]), rtol=1e-5)
    np.testing.assert_allclose(last.columns()["probability"], alone(scorer, requests[2]), rtol=1e-5)
    assert sum(h for h in metrics._scores[""].counts) == 5


def test_more_than_may_wait_are_refused_at_once(scorer, metrics):
    answers = asyncio.run(together(Batcher(scorer, metrics, most_waiting=3), scorer, [rows(1)] * 5))
    assert [isinstance(a, Overloaded) for a in answers] == [False, False, False, True, True]
    assert metrics.refused["overloaded"] == 2
    assert metrics.waiting() == 0


def test_many_rows_are_scored_beside_the_event_loop(scorer, metrics):
    threads = []

    class Noted(Scorer):
        def scores(self, packed):
            threads.append(threading.current_thread())
            return super().scores(packed)

    noted = Noted(scorer.folder)
    threads.clear()
    requests = [rows(INLINE_ROWS + 1), rows(1)]
    many, one = asyncio.run(together(Batcher(noted, metrics), noted, requests))
    assert len(many.predictions()) == INLINE_ROWS + 1
    assert len(one.predictions()) == 1
    assert [t is threading.main_thread() for t in threads].count(True) == 1


def test_a_client_that_leaves_takes_nobody_with_it(scorer, metrics):
    async def leave():
        batcher = Batcher(scorer, metrics)
        left = asyncio.ensure_future(batcher.score(scorer.packing.of_rows(rows(1))))
        stays = asyncio.ensure_future(batcher.score(scorer.packing.of_rows(rows(2))))
        await asyncio.sleep(0)
        left.cancel()
        return await stays

    assert len(asyncio.run(leave()).predictions()) == 2


def test_warm_up_sizes_reach_a_full_batch():
    assert sizes()[:3] == [1, 2, 3]
    assert sizes()[-1] == BATCH_ROWS
    assert len(sizes()) < 50
    assert sizes(4) == [1, 2, 3, 4]


@pytest.mark.parametrize("protocol", ["v1", "v2"])
def test_strange_rows_one_by_one_at_sixteen_connections_have_training_scores(
    exported, path_of, serve, tmp_path, protocol
):
    """Parity through the short way, with batching: every request has one row, and they meet in calls."""
    import httpx

    spec = ModelSpec.load(exported() / "model.json")
    real = pl.DataFrame(
        {"distance": [1.5, None, 300.0], "carrier": ["UA", "é", None], "Zeit é": ["2013-10-01"] * 3}
    )
    real = real.with_columns(pl.col("Zeit é").str.to_datetime())
    frame = mutated(real, spec.inputs, 400, seed=5)
    wanted = path_of(exported())(frame)

    async def ask(port):
        limits = httpx.Limits(max_connections=16)
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", limits=limits, trust_env=False
        ) as http:
            if protocol == "v1":
                bodies = [{"instances": [row]} for row in v1_instances(json_values(frame, spec.inputs))]
                path = "/v1/models/tiny:predict"
            else:
                bodies = [{"inputs": v2_inputs(frame[i], spec.inputs)} for i in range(frame.height)]
                path = "/v2/models/tiny/infer"
            answers = await asyncio.gather(*(http.post(path, json=body, timeout=60) for body in bodies))
            return answers, (await http.get("/metrics")).text

    with serve(exported(), tmp_path / "log", "--drain", "0") as server:
        answers, counted = asyncio.run(ask(server.port))
    assert {a.status_code for a in answers} == {200}
    if protocol == "v1":
        scores = [a.json()["predictions"][0]["probability"] for a in answers]
    else:
        scores = [a.json()["outputs"][0]["data"][0] for a in answers]
    np.testing.assert_allclose(scores, wanted, rtol=1e-5, atol=1e-6)
    calls = next(line for line in counted.splitlines() if line.startswith("lockgate_batch_requests_count"))
    assert float(calls.split()[1]) < 400, "no two requests met"
    assert f'lockgate_requests_total{{code="200",protocol="{protocol}"}} 400.0' in counted or (
        f'lockgate_requests_total{{protocol="{protocol}",code="200"}} 400.0' in counted
    )
