"""The user's own network: a Keras function in the Python file beside project.yaml."""

from collections.abc import Mapping

import keras

from lockgate.errors import TrainingError
from lockgate.features.spec import TransformSpec
from lockgate.project import Project
from lockgate.training.model import inputs_of
from lockgate.training.task import Task, check_scores
from lockgate.usercode import raised, user_function

ENDINGS = ("sigmoid", "softmax")


def user_network(project: Project, code: Mapping[str, str], spec: TransformSpec, task: Task) -> keras.Model:
    """Calls `model.function` as function(inputs, project) and makes a network of what it gives.

    It is given the symbolic inputs ("numbers" float32 [n, d], each category int32 [n]) and gives the scores
    [n, width] (logits without activation; a regression: the standardised label), or a keras.Model on them.

    Raises:
        TrainingError: there is no such function, it raised (with its traceback), or gave something else.
    """
    where = project.model.function or ""
    function = user_function(where, code, "model.function", TrainingError)
    inputs = inputs_of(spec)
    try:
        given = function(inputs, project)
        network = given if isinstance(given, keras.Model) else keras.Model(inputs, given, name="network")
        check_scores(network, task)
    except Exception as error:
        raise raised(where, error, TrainingError) from None
    ending = getattr(getattr(network.layers[-1], "activation", None), "__name__", "")
    if ending in ENDINGS and project.task != "regression":
        raise TrainingError(
            f"{where} ends with the activation {ending!r}.",
            "Its last layer gives scores without activation; Lockgate makes probabilities of them.",
            "Take the last activation out.",
        )
    return network
