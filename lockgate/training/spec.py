"""What a trained model says of itself: `model.json` in the model folder."""

from typing import Literal

from lockgate.features.raw import RawColumn
from lockgate.records import Record

OUTPUTS = {"binary": "probability", "multiclass": "probabilities", "regression": "prediction"}


class ModelSpec(Record):
    """How to feed the model and how to read its answer.

    `inputs` are the raw columns in order: each names its tensor in the exported signature. `output` is
    the signature's output: "probability" float32 [n] of the positive class (binary), "probabilities"
    float32 [n, len(classes)] (multiclass), "prediction" float32 [n] in the label's unit (regression).
    `positive` is the label's value that counts as positive, as project.yaml gives it. `snapshot` is the
    content digest of the data it was trained on, `metric` the main metric, `rows` its training rows.
    """

    name: str
    task: Literal["binary", "multiclass", "regression"]
    label: str
    classes: tuple[str, ...] = ()
    positive: str | int | float | bool | None = None
    inputs: tuple[RawColumn, ...]
    output: Literal["probability", "probabilities", "prediction"]
    snapshot: str
    metric: str
    rows: int
    parameters: int
