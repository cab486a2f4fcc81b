"""Bad candidates: each goes back for its own reason, and only requests that went to it are hurt."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.kube import wait_for
from tests.cluster.rollout.gateway import Reached, reached
from tests.cluster.rollout.noted import Noted
from tests.cluster.rollout.scene import Scene

UNSCHEDULABLE: dict[str, Any] = {"cpu": "900", "prepare_seconds": 8}
SMALL: dict[str, Any] = {"memory_mb": 1000}
# What is wrong, settings of the push, the reasons that fit, and what the sentence must say.
BAD = (
    ("errors", {}, {"Errors"}, "of the requests failed"),
    ("slow", {}, {"Latency"}, "took more than 0.05 s"),
    ("skewed", {}, {"Scores"}, "beside the stable's"),
    ("crash", {}, {"NotServing", "Infrastructure"}, r"none of its pods takes requests|started again"),
    ("memory", SMALL, {"Infrastructure"}, "needed more memory than its limit"),
    ("unschedulable", UNSCHEDULABLE, {"NotReady"}, r"has no node: .*Insufficient cpu"),
    ("corrupt", {}, {"NotServing"}, "waiting will not mend it"),
)
# Those that get requests before they are found out.
LIVE = {"errors", "slow", "skewed", "crash", "memory"}


def came(gone: Reached, revision: str) -> int:
    """How many requests the gateway has sent on to a revision."""
    return sum(n for (to, _), n in gone.items() if to == revision)


@pytest.mark.parametrize(("fault", "settings", "reasons", "said"), BAD, ids=[case[0] for case in BAD])
def test_a_bad_candidate_goes_back_and_the_stable_loses_nothing(
    scene: Scene,
    noted: Noted,
    bad: dict[str, Path],
    fault: str,
    settings: dict[str, Any],
    reasons: set[str],
    said: str,
) -> None:
    model = bad[fault] if fault in bad else scene.other()
    candidate = scene.push(model, **settings)
    stable = scene.shown.spec.stable
    status = scene.ended(candidate, 240)
    past = status.history[0]
    assert past.candidate == model.name
    assert past.outcome == "RolledBack"
    assert past.reason in reasons, past.message
    assert re.search(said, past.message)
    assert scene.route() == {status.stable_revision: 100}
    wait_for(lambda: scene.revisions() == {status.stable_revision}, 120, "the end of the candidate")

    lost = noted.requests.lost()
    hurt = lost.total()
    # A pod that is gone answers nothing, so the gateway says 502 in its place.
    known = noted.requests.of(candidate) + lost["502", ""]
    wait_for(lambda: came(reached(scene, noted.seconds), candidate) >= known, 30, "the gateway's counts")
    gone = reached(scene, noted.seconds)
    print(f"\n{came(gone, candidate)} went to the candidate, {hurt} were hurt: {dict(lost)}; {dict(gone)}")
    assert not [key for key in lost if key[1] == stable.digest[:8]], "the stable answers all that it gets"
    assert {code for revision, code in gone if revision == status.stable_revision} == {"200"}
    # Where no pod of a revision is ready, Traefik itself answers its share with 503 and counts it nowhere.
    assert hurt - lost["503", ""] <= came(gone, candidate)
    assert (came(gone, candidate) > 0) == (fault in LIVE)
    shown = scene.shown
    assert (shown.spec.stable.digest, shown.spec.candidate) == (stable.digest, None)
    assert shown.status.rejected is not None
    assert shown.status.rejected.digest == model.name
    assert "RolledBack" in noted.reasons()
