"""`lockgate rollout …` on a cluster: what people ask for, by annotations that kubectl sets as well."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lockgate.cli.view import print_summary, terminal
from lockgate.errors import ClusterError

if TYPE_CHECKING:
    from serving.controller.cluster.wishes import ModelRollouts, Shown


def pause(rollouts: "ModelRollouts", model: str, wait: float | None) -> None:
    """Stops the rollout where it is, from going on; a bad candidate still goes back."""
    rollouts.one(model)
    _ask(rollouts, model, wait, lambda s: s.status.reason == "Paused" or not _is_on(s), paused="true")


def resume(rollouts: "ModelRollouts", model: str, wait: float | None) -> None:
    """Lets the rollout go on.

    Raises:
        ClusterError: the pause stands in the spec, which an annotation does not change.
    """
    if rollouts.one(model).spec.paused:
        raise ClusterError(
            f"The rollout of {model} is paused by spec.paused.",
            "What the spec says is changed there: in Git, if it lies there.",
            f"`kubectl -n {rollouts.namespace} patch modelrollout {model} --type=merge "
            '-p \'{"spec":{"paused":false}}\'`.',
        )
    _ask(rollouts, model, wait, lambda s: s.status.reason != "Paused", paused=None)


def promote(rollouts: "ModelRollouts", model: str, wait: float | None) -> None:
    """Gives the candidate all of the traffic now, whatever the evidence.

    Raises:
        ClusterError: no rollout is going on.
    """
    name, digest = _candidate(rollouts.one(model))
    _ask(rollouts, model, wait, lambda s: _has_ended(s, digest), promote=name, abort=None)


def abort(rollouts: "ModelRollouts", model: str, wait: float | None) -> None:
    """Takes the candidate back now.

    Raises:
        ClusterError: no rollout is going on.
    """
    name, digest = _candidate(rollouts.one(model))
    _ask(rollouts, model, wait, lambda s: _has_ended(s, digest), abort=name, promote=None)


def retry(rollouts: "ModelRollouts", model: str, wait: float | None) -> None:
    """Lets the candidate that was rolled back last try again.

    Raises:
        ClusterError: none was.
    """
    shown = rollouts.one(model)
    rejected, candidate = shown.status.rejected, shown.spec.candidate
    if rejected is None:
        raise ClusterError(
            f"No candidate of {model} was rolled back.", "Only such a one is tried again.", "Push a model."
        )
    is_there = candidate is not None and candidate.digest == rejected.digest
    # What waits for this is a rollout that begins; one that has to be pushed first does not.
    _ask(rollouts, model, wait if is_there else None, _is_on, retry=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
    if not is_there:
        terminal().print(f"{rejected.digest[:8]} is no longer in the spec: push it again, and it is tried.")


def scale(rollouts: "ModelRollouts", model: str, replicas: int, wait: float | None) -> None:
    """Gives each revision so many pods."""
    rollouts.one(model)
    _ask(rollouts, model, wait, lambda s: s.wishes.replicas == replicas, replicas=str(replicas))


def _ask(
    rollouts: "ModelRollouts",
    model: str,
    wait: float | None,
    is_done: Callable[["Shown"], bool],
    **wishes: str | None,
) -> None:
    """Annotates, shows the same as kubectl would, and waits where that is wanted."""
    rollouts.ask(model, **wishes)
    console = terminal()
    words = " ".join(
        f"lockgate.dev/{name}-" if text is None else f"lockgate.dev/{name}={text}"
        for name, text in wishes.items()
    )
    same = f"kubectl -n {rollouts.namespace} annotate --overwrite modelrollout {model} {words}"
    print_summary(console, f"asked for: {model}", {"the same": same})
    if wait is None:
        return
    shown = rollouts.wait(model, is_done, wait)
    print_summary(console, shown.status.phase, {"because": shown.status.message})


def _candidate(shown: "Shown") -> tuple[str, str]:
    """The name and the digest of the candidate that is on its way."""
    if not _is_on(shown):
        raise ClusterError(
            f"No rollout of {shown.model} is going on; it is {shown.status.phase}.",
            "A candidate on its way is promoted or taken back.",
            f"See `lockgate rollout status {shown.model}`.",
        )
    return shown.status.candidate_revision, shown.status.candidate


def _is_on(shown: "Shown") -> bool:
    from lockgate.rollout.status import ACTIVE

    return shown.status.stage in ACTIVE


def _has_ended(shown: "Shown", digest: str) -> bool:
    past = shown.status.history
    return not _is_on(shown) and bool(past) and past[0].candidate == digest
