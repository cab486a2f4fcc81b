"""How far a candidate's live answers may lie from the stable's: what the evaluation has judged, and a floor.

Both models answered the same test rows, and the gates let the candidate pass with that difference. Live, two
models that differ by d on the test rows will differ by about d, so no less may be allowed; and what exceeds
it by much is a difference that nobody has judged.
"""

from lockgate.evaluation.record import Difference
from lockgate.rollout.policy import Analysis

# Live requests are later than the test rows and of another mix, and two models' difference moves with it. The
# floor is what is allowed for that; it also keeps two nearly equal models from a limit of nearly nothing.
FLOOR_LABELS = 0.02
FLOOR_SIZE = 0.01
FLOOR_DISTANCE = 0.05
# From what is surely bad to what is surely fine must be some way, or no number of requests settles it.
ROOM = 0.1
LARGEST = 0.99


def limited(analysis: Analysis, known: Difference | None) -> Analysis:
    """The analysis with limits that follow from the evaluation; those that project.yaml has stay.

    limit = min(upper bound on the test rows + floor, 0.99), for `agreement.labels`, `agreement.size` and
    `scores.tolerance`; `scores.margin` is the tolerance + 0.1. The upper bound, not the value: a small test
    set knows little, and a limit below the truth would blame a candidate for being what was judged.

    Args:
        analysis: of project.yaml.
        known: how the model differs from the one before it; None where that was not measured.
    """
    if known is None:
        return analysis
    agreement = {
        name: min(high + floor, LARGEST)
        for name, high, floor in (
            ("labels", known.labels_high, FLOOR_LABELS),
            ("size", known.size_high, FLOOR_SIZE),
        )
        if name not in analysis.agreement.model_fields_set
    }
    changed: dict[str, object] = {"agreement": analysis.agreement.model_copy(update=agreement)}
    # The two belong together: with one of them written, the other is not guessed.
    if not analysis.scores.model_fields_set & {"tolerance", "margin"}:
        tolerance = min(known.distance_high + FLOOR_DISTANCE, LARGEST - ROOM)
        limits = {"tolerance": tolerance, "margin": tolerance + ROOM}
        changed["scores"] = analysis.scores.model_copy(update=limits)
    return analysis.model_copy(update=changed)
