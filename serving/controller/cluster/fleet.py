"""The revisions as InferenceServices: made, watched, repaired, deleted."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from components.cluster.apply import Objects, collection, path_of
from components.cluster.connection import Absent, Object
from components.cluster.probe import addresses, refusal
from components.cluster.readiness import readiness
from lockgate.errors import DeliveryError
from lockgate.rollout.resource import ModelRevision
from lockgate.rollout.seen import Health
from lockgate.shipping.manifest import DIGEST_ANNOTATION, MODEL_LABEL, service_of
from lockgate.shipping.names import REVISION_LABEL, revision_name, service_name
from serving.controller.cluster import pods as pod
from serving.controller.cluster.managed import has, others
from serving.controller.ports import FleetSeen, PodsSeen, Rollout, Side

SERVICES = "serving.kserve.io/v1beta1"
# So long all pods must have been ready before a revision gets requests: the gateway hears of them meanwhile.
SETTLED = timedelta(seconds=5)
Tell = Callable[[Literal["Normal", "Warning"], str, str], None]


class ClusterFleet:
    """The InferenceServices of one model.

    Args:
        objects: the connection to the cluster.
        owner: gives the ownerReference of the ModelRollout.
        tell: writes an event.
    """

    def __init__(self, objects: Objects, owner: Callable[[], Object], tell: Tell) -> None:
        self._objects, self._owner, self._tell = objects, owner, tell

    def look(self, rollout: Rollout, *, is_probing: bool) -> FleetSeen:
        """How the spec's revisions are, from their Deployments, pods and endpoints, read once.

        Raises:
            ClusterError: they cannot be read.
        """
        wanted: dict[Side, ModelRevision] = {"stable": rollout.spec.stable}
        if rollout.spec.candidate is not None:
            wanted["candidate"] = rollout.spec.candidate
        services = self._present(rollout)
        names = {side: revision_name(rollout.model, revision.digest) for side, revision in wanted.items()}
        everyone = self._list(rollout, "v1", "pods", REVISION_LABEL, names.values())
        slices = self._list(
            rollout,
            "discovery.k8s.io/v1",
            "endpointslices",
            "kubernetes.io/service-name",
            map(service_name, names.values()),
        )
        health: dict[Side, Health] = {"candidate": Health(state="absent")}
        seen: dict[Side, PodsSeen] = {}
        for side, revision in wanted.items():
            ours = pod.of_revision(everyone, names[side])
            service = services.get(names[side])
            # Who serves already gets requests enough; a probe's would be counted among them.
            is_asked = is_probing and revision.digest != rollout.status.stable
            health[side] = self._health(rollout, revision, service, ours, slices, is_probing=is_asked)
            seen[side] = pod.seen(ours)
        return FleetSeen(health["stable"], health["candidate"], tuple(sorted(services)), seen)

    def ensure(self, rollout: Rollout, revision: ModelRevision) -> bool:
        """Makes the InferenceService exist as given, as the ModelRollout's; writes only what differs.

        Raises:
            DeliveryError: the cluster refuses it, or its name stands for another model already.
            ClusterError: the API does not answer.
        """
        wanted = service_of(rollout.model, rollout.namespace, revision)
        wanted["metadata"]["ownerReferences"] = [self._owner()]
        name = wanted["metadata"]["name"]
        there = self._find(path_of(wanted))
        if there is None and revision.digest == rollout.status.stable:
            said = f"somebody deleted revision {name}, which serves; it is made again"
            self._tell("Warning", "RevisionRepaired", said)
        elif there is not None:
            _check_same(there, revision)
            if "deletionTimestamp" in there["metadata"] or has(there, wanted):
                return False
            if not has(there["spec"], wanted["spec"]) and (who := others(there)):
                said = f"revision {name} was changed by {who}; it is put back"
                self._tell("Warning", "RevisionRepaired", said)
        self._objects.impose(wanted)
        return True

    def delete(self, rollout: Rollout, name: str) -> None:
        """Takes a revision away.

        Raises:
            ClusterError: it cannot be deleted.
        """
        self._objects.delete(f"{collection(SERVICES, 'inferenceservices', rollout.namespace)}/{name}")

    def _present(self, rollout: Rollout) -> Mapping[str, Object]:
        """The model's InferenceServices by name; one that is being deleted is none."""
        listed = self._objects.get(collection(SERVICES, "inferenceservices", rollout.namespace))["items"]
        uid = self._owner()["uid"]
        return {
            each["metadata"]["name"]: each
            for each in listed
            if "deletionTimestamp" not in each["metadata"] and _belongs(each, rollout.model, uid)
        }

    def _health(
        self,
        rollout: Rollout,
        revision: ModelRevision,
        service: Object | None,
        pods: Sequence[Object],
        slices: Sequence[Object],
        *,
        is_probing: bool,
    ) -> Health:
        if service is None:
            return Health(state="absent", reason="it has no InferenceService")
        name = service["metadata"]["name"]
        behind = service_name(name)
        ours = [s for s in slices if s["metadata"]["labels"]["kubernetes.io/service-name"] == behind]
        urls = addresses(ours)
        deployment = self._find(f"{collection('apps/v1', 'deployments', rollout.namespace)}/{behind}")
        found = readiness(revision.storage_uri, revision.replicas, service, deployment, pods)
        if not found.is_ready:
            state: Literal["hopeless", "starting"] = "hopeless" if found.is_hopeless else "starting"
            return Health(state=state, reason=found.reason, ready_pods=len(urls))
        said = _not_settled(revision, pods, urls) if is_probing else ""
        if not said and is_probing:
            said = refusal(rollout.model, revision.example, urls)
        return Health(state="starting" if said else "ready", reason=said, ready_pods=len(urls))

    def _list(self, rollout: Rollout, version: str, plural: str, label: str, values: Any) -> list[Object]:
        selector = f"{label} in ({','.join(sorted(set(values)))})"
        return list(
            self._objects.get(collection(version, plural, rollout.namespace), labelSelector=selector)["items"]
        )

    def _find(self, path: str) -> Object | None:
        try:
            return self._objects.get(path)
        except Absent:
            return None


def _belongs(service: Object, model: str, uid: str) -> bool:
    metadata = service["metadata"]
    owners = (owner["uid"] for owner in metadata.get("ownerReferences") or ())
    return uid in owners or (metadata.get("labels") or {}).get(MODEL_LABEL) == model


def _check_same(there: Object, revision: ModelRevision) -> None:
    """A revision's name has eight digits of its digest, and what it names never changes."""
    metadata = there["metadata"]
    digest = (metadata.get("annotations") or {}).get(DIGEST_ANNOTATION, revision.digest)
    if digest != revision.digest:
        raise DeliveryError(
            f"InferenceService {metadata['name']} is there for another model, of digest {digest}.",
            "A revision is never changed into another.",
            f"If it has no traffic, delete it: `kubectl -n {metadata['namespace']} delete inferenceservice "
            f"{metadata['name']}`.",
        )


def _not_settled(revision: ModelRevision, pods: Sequence[Object], urls: Sequence[str]) -> str:
    if len(urls) < revision.replicas:
        return f"{len(urls)} of {revision.replicas} pods are behind its Service"
    since = pod.ready_since(pods)
    if since is None or datetime.now(UTC) - since < SETTLED:
        return f"its pods became ready less than {SETTLED.seconds} s ago, and the gateway may not know yet"
    return ""
