"""Knative's way: one InferenceService named like the model, whose `canaryTrafficPercent` splits the requests.

KServe makes a Knative revision of every change of the InferenceService, gives the newest one the percentage,
and the rest to the one that had all requests last. So the candidate is the same object with another model
folder, and the way back takes three steps: no request for the candidate; the stable's folder again, still
without requests; and all requests, when it is ready. Copies cannot be sent, and the host name is Knative's.
"""

from collections.abc import Callable, Mapping, Sequence

from components.cluster.apply import Objects, collection
from components.cluster.connection import Absent, Object
from components.cluster.probe import refusal
from lockgate.rollout.resource import ModelRevision
from lockgate.rollout.seen import Health
from lockgate.rollout.status import ACTIVE
from lockgate.shipping.names import REVISION_LABEL, revision_name
from lockgate.shipping.rollout import adopted
from serving.controller.cluster import pods as pod
from serving.controller.cluster.knative_objects import health as health_of
from serving.controller.cluster.knative_objects import holding, is_back, service, split
from serving.controller.ports import FleetSeen, Rollout, RouteSeen, Side
from serving.controller.scrape import Server

SERVICES = "serving.kserve.io/v1beta1"


class Knative:
    """The ports `Fleet` and `Traffic` for one model that Knative serves.

    Args:
        objects: the connection to the cluster.
        owner: gives the ownerReference of the ModelRollout.
    """

    def __init__(self, objects: Objects, owner: Callable[[], Object]) -> None:
        self._objects, self._owner = objects, owner

    def look(self, rollout: Rollout, *, is_probing: bool) -> FleetSeen:
        """How the two revisions are; which pod is whose follows from the model folder that it holds.

        Raises:
            ClusterError: they cannot be read.
        """
        there = self._find(rollout)
        if there is None:
            absent = Health(state="absent", reason="it has no InferenceService")
            return FleetSeen(absent, absent)
        now, pods = split(there), self._pods(rollout)
        health: dict[Side, Health] = {"candidate": Health(state="absent")}
        seen = {}
        for side, revision in _sides(rollout).items():
            ours = holding(pods, revision.storage_uri)
            health[side] = _probed(
                rollout, revision, health_of(side, revision, now, ours), ours, is_probing=is_probing
            )
            seen[side] = pod.seen(ours)
        present = {revision_name(rollout.model, now.digest)} if now.digest else set()
        if now.digest != rollout.spec.stable.digest and health["stable"].state == "ready":
            present.add(revision_name(rollout.model, rollout.spec.stable.digest))
        return FleetSeen(health["stable"], health["candidate"], tuple(sorted(present)), seen)

    def ensure(self, rollout: Rollout, revision: ModelRevision) -> bool:
        """Names the revision's model in the InferenceService, without requests, if nothing else is under way.

        Raises:
            DeliveryError: the cluster refuses it.
            ClusterError: the API does not answer.
        """
        there = self._find(rollout)
        if there is None:
            return self._write(rollout, revision, None)
        now = split(there)
        if now.digest == revision.digest:
            # The last step of the way back.
            is_over = rollout.status.stage not in ACTIVE and now.percent is not None and now.is_ready
            is_stable = revision.digest == rollout.spec.stable.digest
            return is_over and is_stable and self._write(rollout, revision, None)
        if revision.digest == rollout.spec.stable.digest:
            # The other one is the candidate's, which `write` and `delete` take back.
            return False
        if now.digest != rollout.spec.stable.digest and not is_back(now):
            return False
        return self._write(rollout, revision, 0)

    def delete(self, rollout: Rollout, name: str) -> None:
        """Names the stable's model again, where that of the revision is named; Knative removes its pods.

        Raises:
            ClusterError: it cannot be written.
        """
        there = self._find(rollout)
        if there is None:
            return
        now = split(there)
        if revision_name(rollout.model, now.digest) == name and is_back(now):
            self._write(rollout, rollout.spec.stable, 0)

    def can_mirror(self, rollout: Rollout) -> bool:  # noqa: ARG002
        """Knative sends no copies."""
        return False

    def read(self, rollout: Rollout) -> RouteSeen | None:
        """The split that Knative has taken; None before anything serves.

        Raises:
            ClusterError: it cannot be read.
        """
        there = self._find(rollout)
        if there is None:
            return None
        now = split(there)
        stable = revision_name(rollout.model, rollout.spec.stable.digest)
        named = revision_name(rollout.model, now.digest)
        if named == stable:
            return RouteSeen({stable: 100})
        share = now.share if now.is_ready else 0
        return RouteSeen({name: part for name, part in ((stable, 100 - share), (named, share)) if part})

    def write(self, rollout: Rollout, weights: Mapping[str, int], mirror: tuple[str, int] | None) -> None:  # noqa: ARG002
        """Gives the named model its share, where it is the candidate's.

        Raises:
            DeliveryError: the cluster refuses it.
            ClusterError: the API does not answer.
        """
        there = self._find(rollout)
        if there is None:
            return
        now = split(there)
        revision = _sides(rollout).get("candidate")
        if now.digest == rollout.spec.stable.digest:
            return
        wanted: int | None = weights.get(revision_name(rollout.model, now.digest), 0)
        if rollout.status.stage == "promoted" and wanted == 100:
            wanted = None
        if wanted == now.percent:
            return
        if revision is None or revision.digest != now.digest:
            # The spec no longer has this candidate; what it was stands in the object itself.
            revision = adopted(there, {})
        if revision is not None:
            self._write(rollout, revision, wanted)

    def servers(self, rollout: Rollout, names: Mapping[Side, str]) -> Mapping[Side, list[Server]]:
        """The servers of each side, by the model folder that their pods hold.

        Raises:
            ClusterError: the pods cannot be listed.
        """
        pods, sides = self._pods(rollout), _sides(rollout)
        return {
            side: pod.servers(holding(pods, sides[side].storage_uri), sides[side].digest[:8])
            for side in names
            if side in sides
        }

    def _write(self, rollout: Rollout, revision: ModelRevision, percent: int | None) -> bool:
        wanted = service(rollout.model, rollout.namespace, revision, percent)
        wanted["metadata"]["ownerReferences"] = [self._owner()]
        self._objects.impose(wanted)
        return True

    def _find(self, rollout: Rollout) -> Object | None:
        try:
            return self._objects.get(
                f"{collection(SERVICES, 'inferenceservices', rollout.namespace)}/{rollout.model}"
            )
        except Absent:
            return None

    def _pods(self, rollout: Rollout) -> list[Object]:
        path = collection("v1", "pods", rollout.namespace)
        return list(self._objects.get(path, labelSelector=f"{REVISION_LABEL}={rollout.model}")["items"])


def _probed(
    rollout: Rollout, revision: ModelRevision, found: Health, pods: Sequence[Object], *, is_probing: bool
) -> Health:
    if not is_probing or found.state != "ready" or revision.digest == rollout.status.stable:
        return found
    urls = [server.url for server in pod.servers(filter(pod.is_ready, pods), revision.digest[:8])]
    said = refusal(rollout.model, revision.example, urls)
    return found.model_copy(update={"state": "starting", "reason": said}) if said else found


def _sides(rollout: Rollout) -> dict[Side, ModelRevision]:
    spec = rollout.spec
    return {"stable": spec.stable, **({"candidate": spec.candidate} if spec.candidate is not None else {})}
