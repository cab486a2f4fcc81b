"""What the evaluation found, as one frozen record: the model gate judges it, the page shows it."""

from typing import Literal

from lockgate.records import Record

Role = Literal["network", "baseline", "champion"]


class MetricValue(Record):
    """A metric of one model on the test split, with its confidence interval.

    `low` and `high` are None where no interval is computed; `value` is NaN where the metric is not
    defined on these rows (ROC AUC of a single class, MAPE with a label of zero).
    """

    name: str
    value: float
    rows: int
    low: float | None = None
    high: float | None = None


class ModelScores(Record):
    """All metrics of one model on the test split; every model is scored on the same rows.

    `name` is "network" for the model that is judged, "champion" for the one that is served, and the
    baseline's own name ("trivial", "linear", "gradient_boosting") otherwise.
    """

    name: str
    role: Role
    metrics: tuple[MetricValue, ...]

    def metric(self, name: str) -> MetricValue | None:
        """The metric of that name, or None when it was not computed."""
        return next((m for m in self.metrics if m.name == name), None)


class Curve(Record):
    """A curve of at most 200 points; `series` names a model (binary) or one of the network's classes.

    ROC: x is the false positive rate, y the true positive rate. Precision-recall: x is the recall, y the
    precision.
    """

    kind: Literal["roc", "precision_recall"]
    series: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    area: float


class CalibrationBin(Record):
    """Rows with about the same predicted probability: its mean, and the share that was positive.

    `low` and `high` bound the observed share (Wilson interval). `series` is "network" for binary tasks;
    for multiclass tasks it is "top class": the probability of the predicted class, and how often it is right.
    """

    series: str
    predicted: float
    observed: float
    low: float
    high: float
    rows: int


class Histogram(Record):
    """Counts of `values` between consecutive `edges` (one edge more than counts).

    `series` is the true class for scores of a binary task ("positive", "negative"), "residual" for
    regression, "right" and "wrong" for the top probability of multiclass tasks.
    """

    series: str
    edges: tuple[float, ...]
    counts: tuple[int, ...]


class Confusion(Record):
    """`counts[i][j]`: rows of true class i that were called class j; binary: at the chosen threshold."""

    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


class ClassScore(Record):
    """How one class is recognised: `rows` truly belong to it, `predicted` are called it."""

    name: str
    rows: int
    predicted: int
    precision: float
    recall: float
    f1: float
    roc_auc: float


class CostPoint(Record):
    """Cost per 1,000 rows of the test split when scores at or above `threshold` count as positive."""

    threshold: float
    cost: float


class Operating(Record):
    """A way to decide, and what it does to 1,000 rows of the test split.

    `name` is "chosen", "0.5", "always" (call every row positive) or "never". Counts are of rows;
    `cost` is per 1,000 rows, in the user's unit (None without costs).
    """

    name: str
    threshold: float
    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int
    cost: float | None = None


class Threshold(Record):
    """From which score on a row counts as positive, and why.

    `chosen_on` is the split that it was chosen on ("tune"), or "default" when it is 0.5 for want of costs.
    `sentence` tells it in the user's words. `points` hold the cost over thresholds, at most 200.
    """

    value: float
    chosen_on: Literal["tune", "default"]
    sentence: str
    operating: tuple[Operating, ...]
    unit: str = ""
    false_positive_cost: float | None = None
    false_negative_cost: float | None = None
    points: tuple[CostPoint, ...] = ()


class SliceScore(Record):
    """The main metric on a part of the test rows.

    `value` names the part: the category, or a range such as "120 to 300". `score` is None when the slice
    is too small to judge (fewer rows than `min_rows`, or one class only); `note` then says why.
    `drop` is how much worse than overall, positive is worse. `significant` says that its whole
    confidence interval is worse than the overall value.
    """

    column: str
    value: str
    rows: int
    min_rows: int
    metric: str
    score: float | None = None
    low: float | None = None
    high: float | None = None
    drop: float | None = None
    significant: bool = False
    note: str = ""


class GroupRate(Record):
    """What one group of people or things gets from the model; `score` is the main metric on it.

    Binary: `selection` is the share called positive, `true_positive` and `false_positive` are rates.
    Regression: `mean_error` is the mean of prediction - actual. Multiclass: `accuracy`.
    What does not apply, or has no rows to be computed from, is None.
    """

    value: str
    rows: int
    score: float | None = None
    selection: float | None = None
    true_positive: float | None = None
    false_positive: float | None = None
    mean_error: float | None = None
    accuracy: float | None = None
    note: str = ""


class Gap(Record):
    """The largest difference of a rate between two groups, with its confidence interval.

    The interval bounds the difference `highest` - `lowest`; it allows for the choice of the extreme pair
    among all pairs of groups (Bonferroni).
    """

    rate: str
    gap: float
    low: float
    high: float
    highest: str
    lowest: str
    rows: int


class Fairness(Record):
    """The groups of one column, and the largest gap between them for each rate."""

    column: str
    groups: tuple[GroupRate, ...]
    gaps: tuple[Gap, ...]


class Comparison(Record):
    """The network against another model on the same rows.

    `gain` is how much better the network's main metric is (positive: better, whatever the metric's
    direction); `low` and `high` are its two-sided confidence interval; `p_value` is the two-sided
    probability of so large a difference between equally good models. `wins` is true when low > 0.
    """

    other: str
    role: Role
    metric: str
    ours: float
    theirs: float
    gain: float
    low: float
    high: float
    p_value: float
    test: str
    rows: int


class Champion(Record):
    """The model that is served now (`model`: its digest), and whether it could be compared on these rows."""

    state: Literal["none", "compared", "same", "incomparable"]
    message: str
    model: str = ""


class Difference(Record):
    """How far the network lies from the champion (`other`: its digest) on the same rows, right or wrong.

    Shares and means in [0, 1], each with an upper bound at 95 % (`…_high`); the module `difference` says of
    what, and by which formulas.
    """

    other: str
    rows: int
    labels: float
    labels_high: float
    size: float
    size_high: float
    distance: float
    distance_high: float


class Mistake(Record):
    """One of the worst mistakes: `keys` name the row for a person, `features` are its raw values as text.

    `prediction` is the probability of the positive class, of the true class (multiclass), or the
    predicted number; `called` is what the model said. `loss` orders the mistakes: the larger the worse.
    """

    keys: tuple[tuple[str, str], ...]
    features: tuple[tuple[str, str], ...]
    label: str
    called: str
    prediction: float
    loss: float


class Importance(Record):
    """How much the main metric gets worse when a raw column is shuffled: mean and spread over repeats."""

    column: str
    mean: float
    sd: float
    repeats: int
    rows: int


class Residuals(Record):
    """Regression: how far predictions are off. `residual` is prediction - actual, in the label's unit.

    `actual` and `predicted` are up to 1,000 rows drawn evenly over the actual values; `quantiles` are the
    residual's at the `levels`.
    """

    actual: tuple[float, ...]
    predicted: tuple[float, ...]
    levels: tuple[float, ...]
    quantiles: tuple[float, ...]
    mean: float
    sd: float


class EvaluationRecord(Record):
    """Everything that the evaluation page and the model gate need.

    `snapshot` is the content digest of the data, `rows` the labelled rows of the test split,
    `unlabelled` those left out. `positive` and `negative` name the binary classes. `non_finite` counts
    the network's rows on tune and test whose prediction is NaN or infinite; `notes` are sentences about
    what could not be computed.
    """

    project: str
    task: Literal["binary", "multiclass", "regression"]
    label: str
    snapshot: str
    metric: str
    higher_is_better: bool
    confidence: float
    rows: int
    unlabelled: int
    non_finite: int
    models: tuple[ModelScores, ...]
    champion: Champion
    classes: tuple[str, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    difference: Difference | None = None
    curves: tuple[Curve, ...] = ()
    calibration: tuple[CalibrationBin, ...] = ()
    histograms: tuple[Histogram, ...] = ()
    confusion: Confusion | None = None
    per_class: tuple[ClassScore, ...] = ()
    threshold: Threshold | None = None
    slices: tuple[SliceScore, ...] = ()
    fairness: tuple[Fairness, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    importance: tuple[Importance, ...] = ()
    residuals: Residuals | None = None
    notes: tuple[str, ...] = ()

    @property
    def network(self) -> ModelScores:
        """The scores of the model that is judged."""
        return next(m for m in self.models if m.role == "network")

    def scores(self, name: str) -> ModelScores | None:
        """The scores of a model by its name, or None."""
        return next((m for m in self.models if m.name == name), None)
