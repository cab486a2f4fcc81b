"""What the serving gate measured, and the card that a pushed model carries."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from lockgate.evaluation.record import Difference
from lockgate.records import Record

Protocol = Literal["v1", "v2"]


class Parity(Record):
    """How far serving's answers lie from training's, over the rows sent by one protocol.

    `rows` were compared, `mutated` of them were made by mutation; `largest` is the largest absolute
    difference of one output, in the output's unit; `unequal` rows had an output outside the tolerance;
    `worst_row` is the position of the row with the largest excess in what was sent; `labels_unequal` rows
    had another label or decision than their served score implies. `unanswered` rows were in batches that
    the server refused, with the words `refusal`; they count as unequal.
    """

    protocol: Protocol
    rows: int
    mutated: int
    largest: float
    unequal: int
    labels_unequal: int = 0
    worst_row: int | None = None
    worst_served: float | None = None
    worst_trained: float | None = None
    rows_per_second: float = 0.0
    unanswered: int = 0
    refusal: str = ""


class Refusals(Record):
    """How malformed requests were answered: `sent` of them, `refused` with 400 and the column's name.

    `wrong` says, in one sentence each, which were answered otherwise.
    """

    protocol: Protocol
    sent: int
    refused: int
    wrong: tuple[str, ...] = ()


class Budgets(Record):
    """The limits of project.serving: seconds to load, ms at p99 of one-row requests, MB of memory."""

    load_seconds: float
    latency_ms: float
    memory_mb: float


class ServingRecord(Record):
    """What the serving gate measured on the exported model behind the real HTTP protocol.

    A served value y equals a trained value x when |y - x| <= absolute_tolerance + relative_tolerance·|x|.
    `load_seconds` runs from the start of the process to the first answered readiness request;
    `latency_ms` are percentiles (50, 90, 99) of `latency_requests` one-row requests, one after the other
    on one connection; `rows_per_second` is the throughput of requests of `batch_rows` rows;
    `memory_mb` is the resident memory of the server's process after all requests (1 MB = 1,000,000 bytes).
    """

    rows: int
    mutated: int
    largest_difference: float
    relative_tolerance: float
    absolute_tolerance: float
    parity: tuple[Parity, ...]
    refusals: tuple[Refusals, ...]
    load_seconds: float
    latency_ms: Mapping[Literal["p50", "p90", "p99"], float]
    latency_requests: int
    rows_per_second: float
    batch_rows: int
    memory_mb: float
    budgets: Budgets

    @property
    def malformed(self) -> int:
        """How many malformed requests were sent, over both protocols."""
        return sum(r.sent for r in self.refusals)


class CardMetric(Record):
    """One metric of the model on the test split, with its confidence interval where there is one."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    baselines: Mapping[str, float] = {}


class CardVerdict(Record):
    """A gate's verdict in one line, and its warnings."""

    gate: Literal["data", "model", "serving"]
    sentence: str
    warnings: tuple[str, ...] = ()


class ModelCard(Record):
    """What a person needs to know of a pushed model. Times are UTC.

    `content` is the digest that names the model; `snapshot` the data it was trained on; `threshold` is the
    score from which on the decision is positive (binary tasks) and `decision` says so in words, with costs;
    `memory_mb` is what the serving gate measured (1 MB = 1,000,000 bytes); `difference` how far it lies from
    the champion that it was judged against, where there was one.
    """

    content: str
    name: str
    task: Literal["binary", "multiclass", "regression"]
    created: datetime
    version: str
    snapshot: str
    source: str
    rows: Mapping[str, int]
    time_min: datetime | None = None
    time_max: datetime | None = None
    label: str
    classes: tuple[str, ...] = ()
    features: tuple[str, ...]
    metric: str
    metrics: tuple[CardMetric, ...]
    threshold: float | None = None
    decision: str = ""
    verdicts: tuple[CardVerdict, ...]
    intended_use: str = ""
    limits: tuple[str, ...] = ()
    memory_mb: float | None = None
    difference: Difference | None = None
