"""Readiness follows predictions that really are made, and ends at once when the server is told to stop."""

from dataclasses import replace
from pathlib import Path

import pytest

from serving.runtime.health import FRESH_SECONDS, Health
from serving.runtime.scorer import Scorer


def test_ready_only_while_a_prediction_works(exported):
    scorer = Scorer(exported())
    now = [0.0]
    health = Health(scorer, lambda: now[0])
    assert health.why_not() == ""
    weights = scorer.loaded.bias
    weights.assign(float("nan"))  # the model itself breaks: its answers are no numbers any more
    assert health.why_not() == "", "a prediction of this second still stands"
    now[0] += FRESH_SECONDS
    assert health.why_not() == "The model does not answer the example row (ArithmeticError)."
    weights.assign(0.0)
    now[0] += FRESH_SECONDS
    assert health.why_not() == ""


def test_not_ready_once_told_to_stop(exported):
    health = Health(Scorer(exported()))
    assert health.why_not() == ""
    health.draining = True
    assert "told to stop" in health.why_not()


def test_neither_the_answer_nor_the_log_holds_the_errors_own_words(exported, caplog):
    scorer = Scorer(exported())
    health = Health(scorer)
    # What is no tensor: TensorFlow's error quotes it.
    scorer.example = replace(scorer.example, arrays=(Path("Geheim-4711"),) * len(scorer.example.arrays))
    with pytest.raises(ValueError, match="Geheim-4711"):
        scorer.scores(scorer.example)
    with caplog.at_level("WARNING", "lockgate.serving"):
        assert health.why_not().startswith("The model does not answer the example row (")
    assert "Geheim-4711" not in health.why_not() + caplog.text
