"""A candidate's limits from what the evaluation knows: a table of small numbers."""

import pytest

from lockgate.evaluation.record import Difference
from lockgate.rollout.policy import Agreement, Analysis, Scores
from lockgate.shipping.limits import limited


def known(labels: float, size: float, distance: float) -> Difference:
    return Difference(
        other="a" * 64, rows=1000, labels=labels / 2, labels_high=labels, size=size / 2, size_high=size,
        distance=distance / 2, distance_high=distance,
    )  # fmt: skip


KNOWN = known(0.03, 0.02, 0.06)


def shown(analysis: Analysis) -> tuple[float, ...]:
    agreement, scores = analysis.agreement, analysis.scores
    return tuple(round(x, 6) for x in (agreement.labels, agreement.size, scores.tolerance, scores.margin))


def test_a_first_model_has_the_defaults():
    assert limited(Analysis(), None) == Analysis()


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (KNOWN, (0.05, 0.03, 0.11, 0.21)),
        (known(0.0, 0.0, 0.0), (0.02, 0.01, 0.05, 0.15)),
        (known(1.0, 1.0, 1.0), (0.99, 0.99, 0.89, 0.99)),
    ],
)
def test_the_limit_is_the_upper_bound_and_a_floor(seen, expected):
    assert shown(limited(Analysis(), seen)) == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (Analysis(agreement=Agreement(labels=0.1)), (0.1, 0.03, 0.11, 0.21)),  # written, though the default
        (Analysis(agreement=Agreement(size=0.4)), (0.05, 0.4, 0.11, 0.21)),
        (Analysis(scores=Scores(margin=0.3)), (0.05, 0.03, 0.1, 0.3)),
        (Analysis(scores=Scores(tolerance=0.01)), (0.05, 0.03, 0.01, 0.2)),
    ],
)
def test_what_project_yaml_says_stays(written, expected):
    assert shown(limited(written, KNOWN)) == expected


def test_nothing_else_changes_and_the_result_is_a_valid_analysis():
    written = Analysis(alpha=0.05, agreement=Agreement(requests=7))
    found = limited(written, known(1.0, 1.0, 1.0))
    assert (found.alpha, found.agreement.requests) == (0.05, 7)
    assert Analysis.model_validate(found.model_dump()) == found
