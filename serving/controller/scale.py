"""By what the differences of a regression's predictions are divided: the labels' standard deviation."""

import json
import logging

from lockgate.errors import LockgateError
from lockgate.storage import store_at

log = logging.getLogger("lockgate.controller")


def label_scale(folder: str) -> float | None:
    """What the transform measured on the training rows; None for a classification, or where it is not known.

    Args:
        folder: of the model, gs://… or a path.
    """
    try:
        text = store_at(folder).read("transform.json")
        # Not by `lockgate.features`, which needs more than the controller's image has.
        label = json.loads(text or b"{}").get("label") or {}
    except (LockgateError, ValueError) as error:
        log.warning("the labels' scale is not known, so predicted numbers are not compared: %s", error)
        return None
    return label.get("std")
