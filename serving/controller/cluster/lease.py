"""The leader's lease as an object of coordination.k8s.io."""

from datetime import UTC, datetime
from typing import Any

from components.cluster.apply import collection
from components.cluster.connection import Absent, Api, Changed, Object, Taken
from serving.controller.leader import Held

NAME = "lockgate-controller"
TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


class ClusterLease:
    """The lease of the controllers of a namespace.

    Args:
        api: the connection to the cluster; it should give up soon, as the lease is short.
        namespace: of the lease.
    """

    def __init__(self, api: Api, namespace: str) -> None:
        self._api, self._collected = api, collection("coordination.k8s.io/v1", "leases", namespace)

    def read(self) -> Held | None:
        """The lease; None where there is none yet.

        Raises:
            ClusterError: it cannot be read.
        """
        try:
            return _held(self._api.get(f"{self._collected}/{NAME}"))
        except Absent:
            return None

    def take(self, holder: str, seconds: float, before: Held | None) -> Held | None:
        """Writes the lease over what was read before; None where somebody else was faster.

        Raises:
            ClusterError: it cannot be written.
        """
        now = datetime.now(UTC).strftime(TIME)
        is_new = before is None or before.holder != holder
        transitions = 0 if before is None else before.transitions + (is_new and bool(holder))
        spec: dict[str, Any] = {
            "holderIdentity": holder,
            "leaseDurationSeconds": int(seconds),
            "renewTime": now,
            "leaseTransitions": transitions,
        }
        if is_new and holder:
            spec["acquireTime"] = now
        try:
            if before is None:
                made = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": NAME}}
                return _held(self._api.create(self._collected, {**made, "spec": spec}))
            patch = {"metadata": {"resourceVersion": before.version}, "spec": spec}
            return _held(self._api.patch(f"{self._collected}/{NAME}", patch))
        except (Taken, Changed, Absent):
            return None


def _held(lease: Object) -> Held:
    spec = lease.get("spec") or {}
    return Held(
        holder=spec.get("holderIdentity") or "",
        seconds=float(spec.get("leaseDurationSeconds") or 0),
        version=lease["metadata"]["resourceVersion"],
        transitions=spec.get("leaseTransitions") or 0,
    )
