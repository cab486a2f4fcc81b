"""Where a training stands, beside the weights: what it needs to go on after any step."""

from lockgate.records import Record
from lockgate.training.record import Epoch


class LoopState(Record):
    """The position in the data, the history so far, and what early stopping remembers.

    `step` counts optimizer steps; `epoch` is the one under way (0 is the first), `in_epoch` how many of its
    steps are taken; `loss_sum` and `seconds` are those of this epoch so far. `waited` counts epochs without
    gain. `resumed_at` holds the steps at which the training was taken up again.
    """

    step: int = 0
    epoch: int = 0
    in_epoch: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    total_seconds: float = 0.0
    history: tuple[Epoch, ...] = ()
    best_epoch: int = 0
    best_metric: float | None = None
    waited: int = 0
    stopped_early: bool = False
    is_done: bool = False
    resumed_at: tuple[int, ...] = ()
