"""What people do by hand in the middle of a rollout, by kubectl and by `lockgate rollout`."""

import json
import subprocess
import sys
from pathlib import Path

from lockgate.rollout.status import ACTIVE
from tests.cluster.kube import wait_for
from tests.cluster.penguins import MODEL
from tests.cluster.rollout.models import good
from tests.cluster.rollout.noted import Noted
from tests.cluster.rollout.scene import POD_SECONDS, Scene

PROGRAM = Path(sys.executable).parent / "lockgate"


def lockgate(scene: Scene, *words: str) -> str:
    """What `lockgate rollout words…` prints."""
    command = [PROGRAM, "rollout", *words, "--namespace", scene.namespace]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_pause_keeps_the_weight_and_resume_goes_on_to_a_promotion_by_hand(scene: Scene, noted: Noted) -> None:
    model = scene.other()
    candidate = scene.push(model)
    scene.at_weight(candidate, 20)
    lockgate(scene, "pause", MODEL, "--wait", "30")
    paused = scene.status
    assert (paused.reason, paused.phase) == ("Paused", "Holding")
    window = noted.requests.total
    wait_for(lambda: noted.requests.total > window + 8 * scene.traffic.rate, 60, "eight seconds of requests")
    assert (scene.status.weight, scene.route()[candidate]) == (paused.weight, paused.weight)
    lockgate(scene, "resume", MODEL, "--wait", "30")
    scene.until(lambda s: s.reason != "Paused" and s.stage in ACTIVE, 20, "a rollout that goes on")
    scene.annotate(f"lockgate.dev/promote={candidate}")
    status = scene.ended(candidate)
    assert (status.stable, status.history[0].reason) == (model.name, "PromotedByHand")
    assert scene.route() == {candidate: 100}
    assert noted.requests.lost() == {}
    reasons = noted.reasons()
    assert reasons.index("Paused") < reasons.index("GoesOn") < reasons.index("Promoted")


def test_a_second_candidate_sends_all_back_and_starts_anew_and_is_aborted_by_hand(
    scene: Scene, noted: Noted, folder: Path
) -> None:
    stable = scene.stable
    first = scene.push(scene.other())
    scene.at_weight(first, 20)
    second = scene.push(good(scene.good[0], folder, 3))
    status = scene.until(lambda s: s.candidate_revision == second, 20, "the second candidate's turn")
    assert (status.stage, status.weight) == ("preparing", 0)
    assert (status.history[0].outcome, status.history[0].candidate) == ("Superseded", scene.other().name)
    wait_for(lambda: scene.route() == {stable: 100}, 20, "all traffic at the stable revision")
    scene.at_weight(second, 20)
    lockgate(scene, "abort", MODEL, "--wait", "60")
    ended = scene.ended(second)
    assert (ended.history[0].outcome, ended.history[0].reason) == ("RolledBack", "Aborted")
    assert scene.shown.spec.stable.digest == ended.stable
    wait_for(lambda: scene.route() == {stable: 100}, 20, "all traffic at the stable revision")
    assert noted.requests.lost() == {}
    reasons = noted.reasons()
    assert reasons.index("Superseded") < reasons.index("RolledBack")


def test_a_route_edited_by_hand_is_put_back_and_said_so(scene: Scene, noted: Noted) -> None:
    candidate = scene.push(scene.other())
    scene.at_weight(candidate, 20)
    scene.annotate("lockgate.dev/paused=true")
    scene.until(lambda s: s.reason == "Paused", 20, "a pause")
    weight = scene.route()[candidate]
    spec = scene.kubectl.get("httproute", MODEL, namespace=scene.namespace)["spec"]
    for rule in spec["rules"]:
        for backend in rule["backendRefs"]:
            backend["weight"] = 50
    words = (
        "patch",
        "httproute",
        MODEL,
        "-n",
        scene.namespace,
        "--type=merge",
        "--field-manager=somebody",
        "-p",
    )
    scene.kubectl(*words, json.dumps({"spec": {"rules": spec["rules"]}}))
    wait_for(lambda: scene.route().get(candidate) == weight, 20, "the weights as they were")
    told = wait_for(
        lambda: [note for reason, note in noted.events() if reason == "RouteRepaired"], 20, "an event of it"
    )
    assert "somebody" in told[0]
    scene.annotate("lockgate.dev/paused-")
    status = scene.ended(candidate)
    assert status.history[0].outcome == "Promoted"
    assert noted.requests.lost() == {}


def test_a_deleted_candidate_ends_its_rollout_and_said_so(scene: Scene, noted: Noted) -> None:
    candidate = scene.push(scene.other())
    scene.at_weight(candidate, 20)
    scene.kubectl("delete", "inferenceservice", candidate, "-n", scene.namespace, "--wait=false")
    status = scene.ended(candidate)
    past = status.history[0]
    assert (past.outcome, past.reason) == ("RolledBack", "CandidateGone")
    assert scene.route() == {status.stable_revision: 100}
    assert "RolledBack" in noted.reasons()
    # Its pods answer on for 10 s after they were told to end; the route is back long before.
    assert noted.requests.lost() == {}


def test_a_deleted_stable_revision_is_made_again_in_mid_rollout_and_said_so(
    scene: Scene, noted: Noted
) -> None:
    """What the stable would have answered meanwhile is lost; nothing of what went to the candidate."""
    stable = scene.stable
    candidate = scene.push(scene.other())
    scene.at_weight(candidate, 20)
    scene.kubectl("delete", "inferenceservice", stable, "-n", scene.namespace, "--wait=false")
    told = wait_for(
        lambda: [note for reason, note in noted.events() if reason == "RevisionRepaired"],
        60,
        "an event that tells of it",
    )
    assert stable in told[0]
    scene.answered(POD_SECONDS)
    status = scene.ended(candidate)
    print("\nthe candidate:", status.history[0].outcome, status.history[0].message)
    wait_for(lambda: scene.route() == {status.stable_revision: 100}, 30, "all traffic at one revision")
    scene.answered(POD_SECONDS)
    assert noted.requests.of(candidate) > 0
    assert {by for _, by in noted.requests.lost()} <= {""}, "no revision answers anything but 200"
