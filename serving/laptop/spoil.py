"""Bad copies of good models: what a rollout must catch, as real models that a real server loads.

The copy's signature is the model's own with something behind it, all of it TensorFlow: nothing in the
server is changed. A copy answers the example row as a good model would, so that it gets through loading,
warm-up, readiness and probes, and is bad only for live requests.
"""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from lockgate.errors import ServingError
from lockgate.features.spec import TransformSpec
from lockgate.shipping.folder import CARD, DERIVED, EXAMPLE, Example, ServingSpec, check_digest, publish
from lockgate.shipping.packing import Packing
from lockgate.shipping.record import ModelCard
from lockgate.training.spec import ModelSpec
from lockgate.workspace import link_tree

Fault = Literal["errors", "slow", "skewed", "crash", "memory"]
# How bad, where nobody says; and what the card says of it.
DEFAULTS: Mapping[Fault, float] = {"errors": 0.1, "slow": 25.0, "skewed": 0.5, "crash": 50.0, "memory": 8.0}
SAID: Mapping[Fault, str] = {
    "errors": "a share of {:g} of the rows gets no score",
    "slow": "each call takes {:g} ms longer",
    "skewed": "scores are shifted by {:g}",
    "crash": "the server's process ends once it was sent {:g} live rows",
    "memory": "each live row costs {:g} MB that are never given back",
}


def spoil(model: Path, target: Path, fault: Fault, by: float | None = None) -> Path:
    """Makes a bad copy of a pushed model.

    Args:
        model: the model folder.
        target: the folder of model folders that takes the copy.
        fault: what is bad about it. "errors": some rows, always the same, get NaN, so the server answers
            500. "slow": every call works longer. "skewed": the logit (several classes: of the first one) is
            shifted; a regression's prediction by the label's standard deviation, where transform.json
            has it, else by the label's unit. "crash": the process aborts. "memory": it grows.
        by: how bad: the share of rows, the milliseconds of a call, the logits or standard deviations, the
            live rows until the end, the MB of a live row (1 MB = 1,000,000 bytes). Rows equal to the
            example do not count as live.

    Returns:
        The copy's folder in `target`, named by its digest, with a card that says what was done to it.

    Raises:
        ServingError: no such fault, or no pushed model is there.
        StorageError: `target` cannot be written.
    """
    if fault not in DEFAULTS:
        raise ServingError(
            f"{fault!r} is no fault.", f"A model can be spoiled by {', '.join(get_args(Fault))}."
        )
    check_digest(model)
    if not (model / EXAMPLE).exists():
        raise ServingError(
            f"{model} has no {EXAMPLE}.",
            "A pushed model has one; the copy must answer it.",
            "Spoil a folder under models/.",
        )
    by = DEFAULTS[fault] if by is None else by
    example = Example.load(model / EXAMPLE)
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".spoil-", dir=target) as draft:
        copy = Path(draft) / "copy"
        for path in model.iterdir():
            if path.name not in DERIVED | {"saved_model"}:
                link_tree(path, copy / path.name)
        _export(model, copy / "saved_model", example, fault, by)
        folder, _ = publish(target, copy, ServingSpec.of(model), example, _describe(model, fault, by))
    return folder


def _describe(model: Path, fault: Fault, by: float) -> Callable[[str], Mapping[str, bytes]]:
    """The copy's card, where the model has one."""

    def describe(digest: str) -> Mapping[str, bytes]:
        if not (model / CARD).exists():
            return {}
        card = ModelCard.load(model / CARD)
        limit = f"It was spoiled on purpose: {SAID[fault].format(by)}."
        return {
            CARD: card.model_copy(update={"content": digest, "limits": (limit, *card.limits)}).text().encode()
        }

    return describe


def _export(model: Path, saved_model: Path, example: Example, fault: Fault, by: float) -> None:
    import tensorflow as tf

    from serving.laptop import faults

    spec = ModelSpec.load(model / "model.json")
    module = tf.Module()
    module.loaded = tf.saved_model.load(str(model / "saved_model"))
    signature = module.loaded.signatures["serving_default"]
    inputs = {
        name: tf.TensorSpec(given.shape, given.dtype, name=name)
        for name, given in signature.structured_input_signature[1].items()
    }
    live = faults.live_rows(_tensors(example, spec))
    module.state = tf.Variable(0, dtype=tf.int64, trainable=False)
    change = faults.change(fault, by, spec.task, live, _deviation(model), module.state)

    @tf.function(input_signature=[inputs], autograph=False)
    def spoiled(tensors: Mapping[str, Any]) -> dict[str, Any]:
        scores = signature(**tensors)[spec.output]
        return {spec.output: tf.ensure_shape(change(tensors, scores), scores.shape)}

    tf.saved_model.save(module, str(saved_model), signatures={"serving_default": spoiled})


def _tensors(example: Example, spec: ModelSpec) -> dict[str, Any]:
    """The example as the server packs it, by tensor."""
    packing = Packing(spec.inputs)
    arrays = packing.of_rows([dict(example.row)]).arrays
    return {
        column.tensor: array[:, place]
        for group, array in zip(packing.groups.values(), arrays, strict=True)
        for place, column in enumerate(group)
    }


def _deviation(model: Path) -> float:
    """The label's standard deviation, of a regression whose transform has it."""
    path = model / "transform.json"
    label = TransformSpec.load(path).label if path.exists() else None
    return (label.std if label is not None else None) or 1.0
