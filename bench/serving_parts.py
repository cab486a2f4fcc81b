"""`python -m bench.serving_parts MODEL_FOLDER BODIES`: the parts of a request, each alone, as JSON.

Microseconds of CPU for one row: reading JSON, packing its values, calling the model (alone, and as one of
sixteen), writing the answer, counting; and a call of the exported signature as it is, one tensor a column.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

import orjson
import tensorflow as tf

from lockgate.shipping.decode import decode_rows
from lockgate.shipping.packing import joined
from serving.runtime.batcher import Batcher, Slice
from serving.runtime.metrics import Metrics, score_bounds
from serving.runtime.protocols import V1
from serving.runtime.sample import Sample
from serving.runtime.scorer import Scorer, use_threads

CALLS = 2000
TOGETHER = 16
DIGEST = "0" * 64


def main() -> None:
    """Prints the parts."""
    use_threads(1)
    scorer = Scorer(Path(sys.argv[1]))
    bodies = [json.dumps(body).encode() for body in json.loads(Path(sys.argv[2]).read_text())]
    protocol, body = V1(scorer.packing, 1), bodies[0]
    packed = [protocol.read(body)[0] for body in bodies[:TOGETHER]]
    rows = orjson.loads(body)["instances"]
    metrics = Metrics(scorer.spec, "bench", DIGEST, score_bounds(scorer.spec, scorer.folder))
    sample, asked = Sample(DIGEST), cycle(bodies)
    scores = scorer.scores(joined(packed))
    one = Slice(scorer.answer(scores), 0, 1)
    tensors = decode_rows(rows, scorer.spec.inputs)
    signature = scorer.loaded.signatures["serving_default"]
    parts = {
        "json": cpu(lambda: orjson.loads(body)),
        "packing": cpu(lambda: scorer.packing.of_rows(rows)),
        "call": cpu(lambda: scorer.scores(packed[0])),
        "call of 16": cpu(lambda: scorer.scores(joined(packed))) / TOGETHER,
        "answer": cpu(lambda: written(scorer, protocol, scores)) / TOGETHER,
        "counting": cpu(lambda: counted(metrics, sample, next(asked), one)),
        "waiting": waiting(scorer, metrics, packed),
        "signature": cpu(lambda: signature(**{name: tf.constant(v) for name, v in tensors.items()})),
    }
    print(json.dumps(parts))


def cpu(work: Callable[[], Any]) -> float:
    """Microseconds of CPU for one call, the least of five rounds."""
    for _ in range(50):
        work()
    rounds = []
    for _ in range(5):
        start = time.process_time()
        for _ in range(CALLS // 5):
            work()
        rounds.append((time.process_time() - start) / (CALLS // 5) * 1e6)
    return min(rounds)


def written(scorer: Scorer, protocol: V1, scores: Any) -> None:
    """What follows the call of a batch of sixteen one-row requests."""
    answered = scorer.answer(scores)
    for place in range(TOGETHER):
        protocol.write(Slice(answered, place, place + 1), "")


def counted(metrics: Metrics, sample: Sample, body: bytes, one: Slice) -> None:
    """What counting costs a request that is scored alone: its time, its score, and its place in the sample.

    The sample takes as many as under load, where most requests are only hashed.
    """
    first = one.first()
    metrics.answered("v1", "200", 0.002, first)
    metrics.scored(one.columns(), 1, 1)
    sample.add(body, first)


def waiting(scorer: Scorer, metrics: Metrics, packed: list[Any]) -> float:
    """Futures, queue and join of the batcher: what scoring sixteen requests costs beyond the call."""
    batcher = Batcher(scorer, metrics)

    async def together() -> None:
        await asyncio.gather(*(batcher.score(each) for each in packed))

    with asyncio.Runner() as runner:
        whole = cpu(lambda: runner.run(together()))
    return (whole - cpu(lambda: scorer.answer(scorer.scores(joined(packed))))) / TOGETHER


if __name__ == "__main__":
    main()
