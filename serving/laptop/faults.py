"""What makes a model bad, as TensorFlow operations behind its scores."""

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

Tensors = Mapping[str, Any]
Change = Callable[[Tensors, Any], Any]

BUCKETS = 2**62
# Of which a share gets NaN.
PARTS = 10_000
# A probability of exactly 0 or 1 has no logit.
SMALLEST = 1e-7
MEGABYTE = 1_000_000
# One round of a slow model's extra work.
WORK = (64, 64)


def row_hash(tensors: Tensors, salt: str = "") -> Any:
    """A number from 0 to 2^62 per row that depends on all its values, int64 [n]."""
    texts = [t if t.dtype == tf.string else tf.strings.as_string(t) for _, t in sorted(tensors.items())]
    salted = tf.fill(tf.shape(texts[0]), salt)
    return tf.strings.to_hash_bucket_fast(tf.strings.join([salted, *texts], separator="\x1f"), BUCKETS)


def live_rows(example: Tensors) -> Callable[[Tensors], Any]:
    """A function that says which rows differ from the example, bool [n]."""
    known = int(row_hash({name: tf.constant(values) for name, values in example.items()})[0])
    return lambda tensors: row_hash(tensors) != known


def change(
    fault: str, by: float, task: str, live: Callable[[Tensors], Any], deviation: float, state: Any
) -> Change:
    """The function from raw tensors and good scores to what the bad model gives.

    Args:
        fault: one of `serving.laptop.spoil.Fault`.
        by: how bad, as `serving.laptop.spoil.spoil` has it.
        task: the model's.
        live: says which rows are not the example.
        deviation: of a regression's label, in its unit.
        state: an int64 variable at 0 that is saved with the model.
    """

    def errors(tensors: Tensors, scores: Any) -> Any:
        hit = live(tensors) & (row_hash(tensors, "errors") % PARTS < round(by * PARTS))
        return tf.where(_per_row(hit, scores), float("nan"), scores)

    def slow(_: Tensors, scores: Any) -> Any:
        with tf.control_dependencies([scores]):
            end = tf.timestamp() + by / 1e3
        matrix = tf.random.uniform(WORK)
        worked = tf.while_loop(lambda _: tf.timestamp() < end, lambda m: (tf.nn.softmax(m @ m),), [matrix])
        with tf.control_dependencies(worked):
            return tf.identity(scores)

    def skewed(_: Tensors, scores: Any) -> Any:
        if task == "regression":
            return scores + by * deviation
        clipped = tf.clip_by_value(scores, SMALLEST, 1 - SMALLEST)
        if task == "binary":
            return tf.sigmoid(tf.math.log(clipped) - tf.math.log1p(-clipped) + by)
        shift = tf.one_hot(0, scores.shape[1], on_value=by)
        return tf.nn.softmax(tf.math.log(clipped) + shift)

    def crash(tensors: Tensors, scores: Any) -> Any:
        seen = state.assign_add(tf.math.count_nonzero(live(tensors)))

        def end() -> Any:
            aborted = tf.raw_ops.Abort(error_msg="spoiled on purpose", exit_without_error=False)
            with tf.control_dependencies([aborted]):
                return tf.identity(scores)

        return tf.cond(seen > round(by), end, lambda: tf.identity(scores))

    def memory(tensors: Tensors, scores: Any) -> Any:
        size = tf.math.count_nonzero(live(tensors)) * round(by * MEGABYTE / 4)
        # Written to with what is only known now: constant or untouched pages would take no memory.
        leaked = tf.fill([size], tf.reduce_sum(scores))
        # A staging area that nobody takes from keeps what is put there until the process ends.
        staged = tf.raw_ops.Stage(values=[leaked], shared_name="leak")
        with tf.control_dependencies([staged]):
            return tf.identity(scores)

    return {"errors": errors, "slow": slow, "skewed": skewed, "crash": crash, "memory": memory}[fault]


def _per_row(rows: Any, scores: Any) -> Any:
    return rows if len(scores.shape) == 1 else rows[:, tf.newaxis]
