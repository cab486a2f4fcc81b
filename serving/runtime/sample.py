"""A sample of answers by the hash of their requests, at /lockgate/answers.

Two revisions that get copies of the same requests can so be compared answer by answer, whichever pods they
reached, without a log. Only hashes and first rows' answers are kept, never a value of a request.

The hash decides what is kept, not chance: the servers of both revisions keep the same requests. Under
little load that is every request. Where more come than the ring can hold for `REACH_SECONDS`, the share is
halved until they fit; a smaller share is a part of every larger one, so servers under unlike loads still have
the requests of the smallest share in common.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from hashlib import blake2b
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import orjson

from lockgate.shipping.decode import RequestError

# No gateway leads here: a model's route matches /v1/models, /v2 and the gRPC service.
PATH = "/lockgate/answers"
KEPT = 4096
# Twice as long as the controller waits between two looks, unless it is told otherwise.
REACH_SECONDS = 20.0
# The share is looked at so often while the ring is filled once.
LOOKS = 4
# Hashing takes about a nanosecond a byte, on the event loop: longer bodies are left out.
MOST_BYTES = 1 << 16


class First(NamedTuple):
    """The answer for a request's first row.

    `score` is the probability (two classes), the highest one (several) or the prediction (regression);
    `label` is the class, None for a regression.
    """

    score: float
    label: str | None


# Where the model notes the first row's answer of a request that KServe's application handles for the front.
first_rows: ContextVar[list[First]] = ContextVar("first_rows")


def first_of(columns: Mapping[str, Any], row: int) -> First:
    """The answer for one row of a call, from the arrays that `lockgate.shipping.answer.answers` gives."""
    if "prediction" in columns:
        return First(columns["prediction"].item(row), None)
    label = columns["label"][row]
    if "probability" in columns:
        return First(columns["probability"].item(row), label)
    return First(max(columns["probabilities"][row].tolist()), label)


class Sample:
    """The last answers that the sample took; lives on one event loop.

    Args:
        digest: of the model folder's content.
        clock: seconds, of any origin.
    """

    def __init__(self, digest: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.digest = digest
        self._clock = clock
        self._kept: deque[tuple[str, First]] = deque(maxlen=KEPT)
        self._next = 0
        self._halvings = 0
        self._taken = 0  # since the share was last looked at
        self._looked = clock()

    def add(self, body: bytes, first: First) -> None:
        """Takes the answer to a request, if the hash of its body says so, and the body is not too long."""
        if len(body) > MOST_BYTES:
            return
        key = blake2b(body, digest_size=8).digest()
        if int.from_bytes(key) >> (64 - self._halvings) == 0:
            self._kept.append((key.hex(), first))
            self._next += 1
            self._taken += 1
        self._look()

    def _look(self) -> None:
        """Halves the share where the ring fills too fast; doubles it where that would do no harm."""
        is_full = self._taken >= KEPT // LOOKS
        if not is_full and self._clock() - self._looked < REACH_SECONDS / LOOKS:
            return
        if is_full:
            self._halvings += 1
        elif self._taken < KEPT // LOOKS // 4:  # not half: the share would go up and down under a steady load
            self._halvings = max(0, self._halvings - 1)
        self._taken = 0
        self._looked = self._clock()

    def read(self, query: bytes) -> bytes:
        """The digest, the answers from number `after` on, and the `next` number to ask for, as JSON.

        A number that is not reached yet is from a server that has ended since: everything is given then.

        Args:
            query: of the URL; without `after`, all that is kept.

        Raises:
            RequestError: `after` is no number.
        """
        after = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)).get("after", "0")
        if not (after.isascii() and after.isdigit() and len(after) < 20):
            raise RequestError(
                f"'after' is {after[:20]!r}.", "It is a whole number: the 'next' of the answer before."
            )
        new = self._next - int(after)
        kept = list(self._kept)
        newer = kept if new < 0 else kept[max(0, len(kept) - new) :]
        answers = [{"request": key, "score": each.score, "label": each.label} for key, each in newer]
        return orjson.dumps({"digest": self.digest, "next": self._next, "answers": answers})
