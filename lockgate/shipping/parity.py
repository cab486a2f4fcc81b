"""The same rows down training's path and serving's: are the answers equal, and is bad input refused?"""

import time
from collections.abc import Iterable
from dataclasses import dataclass

import httpx
import numpy as np
import numpy.typing as npt
import polars as pl

from lockgate.errors import ServingError
from lockgate.shipping.answer import answers
from lockgate.shipping.client import Answers, Client
from lockgate.shipping.malformed import Malformed
from lockgate.shipping.record import Parity, Protocol, Refusals
from lockgate.training.spec import ModelSpec

# Both paths compute in float32 (24 bits, 6e-8 relative), but in batches of other sizes, for which
# TensorFlow adds up the same terms in another order: sums of hundreds of terms differ by some 1e-6.
RELATIVE_TOLERANCE = 1e-5
ABSOLUTE_TOLERANCE = 1e-6
WRONG_SHOWN = 5

Scores = npt.NDArray[np.float32]


def absolute_tolerance(spec: ModelSpec, trained: Scores) -> float:
    """The absolute tolerance in the output's unit.

    Probabilities: 1e-6. Predictions of a regression: 1e-6 of their root mean square, because their unit
    is the label's.
    """
    if spec.task != "regression":
        return ABSOLUTE_TOLERANCE
    wide = trained[np.isfinite(trained)].astype(np.float64)
    return float(ABSOLUTE_TOLERANCE * max(np.sqrt(np.mean(np.square(wide))), np.finfo(np.float32).tiny))


@dataclass(frozen=True)
class Served:
    """What serving answered: `scores` by row (NaN where refused), labels and decisions of the other rows.

    `answered` says which rows were; `refusal` holds the server's words for the first that was not.
    """

    scores: Scores
    words: Answers
    answered: npt.NDArray[np.bool_]
    refusal: str
    rows_per_second: float


def serve_rows(
    client: Client, protocol: Protocol, spec: ModelSpec, frame: pl.DataFrame, batch_rows: int
) -> Served:
    """Sends the rows in batches.

    Raises:
        ServingError: the server does not answer any more.
    """
    width = (len(spec.classes),) if spec.task == "multiclass" else ()
    scores = np.full((frame.height, *width), np.nan, dtype=np.float32)
    answered, refusal, parts = np.zeros(frame.height, dtype=bool), "", []
    started = time.perf_counter()
    for start in range(0, frame.height, batch_rows):
        part = client.answers(protocol, frame[start : start + batch_rows])
        if isinstance(part, str):
            refusal = refusal or part
            continue
        scores[start : start + batch_rows] = part[spec.output]
        answered[start : start + batch_rows] = True
        parts.append(part)
    speed = frame.height / (time.perf_counter() - started)
    words = {name: np.concatenate([part[name] for part in parts]) for name in (parts[0] if parts else ())}
    return Served(scores, words, answered, refusal, speed)


def compare(
    protocol: Protocol,
    spec: ModelSpec,
    threshold: float,
    served: Served,
    trained: Scores,
    *,
    mutated: int = 0,
    tolerance: tuple[float, float] = (RELATIVE_TOLERANCE, ABSOLUTE_TOLERANCE),
) -> Parity:
    """Holds served answers against training's scores, row by row.

    A served score y equals a trained x when |y - x| <= absolute + relative·|x|. Labels and decisions
    must be those that the served scores imply.

    Args:
        protocol: how the rows were sent.
        spec: of the model.
        threshold: of the decision (binary).
        served: the answers.
        trained: float32 of n rows, or n times classes.
        mutated: how many of the rows were made by mutation.
        tolerance: (relative, absolute).

    Raises:
        ServingError: the scores have another shape than in training.
    """
    relative, absolute = tolerance
    given, wanted = served.scores.astype(np.float64), trained.astype(np.float64)
    if given.shape != wanted.shape:
        raise ServingError(f"Serving gave scores of shape {given.shape}, training of shape {wanted.shape}.")
    difference = np.abs(given - wanted).reshape(len(given), -1)
    # What is no number on either side is as unequal as can be.
    excess = difference - (absolute + relative * np.abs(wanted).reshape(len(wanted), -1))
    excess = np.nan_to_num(excess, nan=np.inf, posinf=np.inf)
    worst, place = np.unravel_index(excess.argmax(), excess.shape)
    return Parity(
        protocol=protocol,
        rows=len(given),
        mutated=mutated,
        largest=float(np.nan_to_num(difference, nan=np.inf).max()),
        unequal=int((excess > 0).any(axis=1).sum()),
        labels_unequal=_labels_unequal(spec, threshold, served),
        worst_row=int(worst),
        worst_served=float(given.reshape(len(given), -1)[worst, place]),
        worst_trained=float(wanted.reshape(len(wanted), -1)[worst, place]),
        rows_per_second=served.rows_per_second,
        unanswered=int((~served.answered).sum()),
        refusal=served.refusal,
    )


def _labels_unequal(spec: ModelSpec, threshold: float, served: Served) -> int:
    scores = served.scores[served.answered]
    implied = answers(spec.task, spec.classes, threshold, {spec.output: scores})
    wrong = np.zeros(len(scores), dtype=bool)
    for name in implied.keys() & {"label", "decision"}:
        wrong |= served.words[name] != implied[name] if len(scores) else wrong
    return int(wrong.sum())


def said(response: httpx.Response) -> str:
    """The server's words for an error; the whole text where it is not of KServe's form."""
    try:
        return str(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        return response.text


def refusals(client: Client, requests: Iterable[Malformed]) -> tuple[Refusals, ...]:
    """Sends requests that must be refused; says for each protocol how many were.

    Raises:
        ServingError: the server does not answer any more.
    """
    sent = {"v1": 0, "v2": 0}
    wrong: dict[str, list[str]] = {"v1": [], "v2": []}
    for request in requests:
        response = client.send(request.protocol, request.body)
        sent[request.protocol] += 1
        if response.status_code != httpx.codes.BAD_REQUEST:
            wrong[request.protocol].append(f"{request.fault}: answered with {response.status_code}, not 400")
        elif request.names not in said(response):
            wrong[request.protocol].append(f"{request.fault}: refused without naming '{request.names}'")
    return tuple(
        Refusals(
            protocol=protocol,
            sent=sent[protocol],
            refused=sent[protocol] - len(wrong[protocol]),
            wrong=tuple(wrong[protocol][:WRONG_SHOWN]),
        )
        for protocol in ("v1", "v2")
    )
