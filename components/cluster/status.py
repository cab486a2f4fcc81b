"""One view of what Lockgate has on a cluster: models, rollouts, training jobs, the gates' last verdicts.

`python -m components.cluster.status [NAMESPACE]`, which is `make status`.
"""

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from components.cluster import indexed_job, trainjob
from components.cluster.connection import Absent, Api, Unreachable
from components.cluster.verdict import Verdict
from lockgate.cli.view import Whole, ago, print_error, table
from lockgate.errors import ClusterError, LockgateError
from lockgate.rollout.resource import API_VERSION, PLURAL
from lockgate.rollout.status import Status
from lockgate.rollout.table import row
from lockgate.shipping.manifest import DIGEST_ANNOTATION, MODEL_LABEL
from lockgate.shipping.names import service_name

PART_OF = "app.kubernetes.io/part-of=lockgate"
SHOWN_JOBS = 8
Object = Mapping[str, Any]


@dataclass(frozen=True)
class Seen:
    """The objects of a namespace that the view is made of; `version` is "" where nothing is deployed."""

    namespace: str
    version: str = ""
    services: Sequence[Object] = ()
    routes: Sequence[Object] = ()
    deployments: Sequence[Object] = ()
    jobs: Sequence[Object] = ()
    rollouts: Sequence[Object] = ()


def look(api: Api, namespace: str) -> Seen:
    """Reads the namespace; a kind that the cluster does not know has no objects.

    Raises:
        ClusterError: the API does not answer or refuses.
    """

    def listed(version: str, plural: str, **query: str) -> list[Object]:
        root = "apis" if "/" in version else "api"
        try:
            found = api.get(f"/{root}/{version}/namespaces/{namespace}/{plural}", **query)
        except Absent:
            return []
        kind = found["kind"].removesuffix("List")
        return [{"kind": kind, **item} for item in found["items"]]

    try:
        settings = api.get(f"/api/v1/namespaces/{namespace}/configmaps/lockgate-versions")
    except Absent:
        settings = {"data": {"LOCKGATE": ""}}
    jobs = listed("batch/v1", "jobs", labelSelector=PART_OF)
    return Seen(
        namespace,
        settings["data"]["LOCKGATE"],
        services=listed("serving.kserve.io/v1beta1", "inferenceservices", labelSelector=MODEL_LABEL),
        routes=listed("gateway.networking.k8s.io/v1", "httproutes", labelSelector=MODEL_LABEL),
        deployments=listed("apps/v1", "deployments"),
        # A Job that another object made for itself shows as that object.
        jobs=[*listed(trainjob.GROUP, "trainjobs"), *(j for j in jobs if not _is_part(j))],
        rollouts=listed(API_VERSION, PLURAL),
    )


def view(seen: Seen, now: datetime) -> Iterator[RenderableType]:
    """The view, part by part.

    Args:
        seen: the namespace's objects.
        now: UTC.
    """
    deployed = f"Lockgate {seen.version}" if seen.version else "not deployed: make deploy"
    yield Text(f"namespace {seen.namespace}, {deployed}", style="bold")
    services = sorted(seen.services, key=lambda s: (_model(s), s["metadata"]["creationTimestamp"]))
    yield from _part("models", [model_row(s, seen, now) for s in services], "none is served")
    rollouts = [rollout_row(r, now) for r in seen.rollouts]
    yield from _part("rollouts", rollouts, "no model has a ModelRollout", is_folded=False)
    jobs = sorted(seen.jobs, key=lambda j: j["metadata"]["creationTimestamp"], reverse=True)
    yield from _part("training", [job_row(j, now) for j in jobs[:SHOWN_JOBS]], "no job")
    yield from _part("gates", [row for s in services for row in gate_rows(s)], "no verdict yet")


def model_row(service: Object, seen: Seen, now: datetime) -> dict[str, str | Text]:
    """A revision: its share of the traffic, its pods by the Deployment's own count, its digest."""
    name = service["metadata"]["name"]
    digest = service["metadata"].get("annotations", {}).get(DIGEST_ANNOTATION, "")
    found = [d for d in seen.deployments if d["metadata"]["name"] == service_name(name)]
    wanted = sum(d["spec"].get("replicas", 1) for d in found)
    ready = sum(d.get("status", {}).get("readyReplicas", 0) for d in found)
    is_ready = 0 < wanted <= ready
    reason = "" if is_ready else not_ready(service)
    return {
        "model": _model(service),
        "revision": name,
        "traffic": traffic(name, seen.routes),
        "pods": Text(f"{ready} of {wanted}", style="green" if is_ready else "red"),
        "digest": digest[:12],
        "age": age(service, now),
        "": Text(reason, style="red"),
    }


def traffic(revision: str, routes: Sequence[Object]) -> str:
    """The share of a route's requests that its weights give a revision; "" where no route names it."""
    shares = []
    for rule in (rule for route in routes for rule in route["spec"].get("rules", ())):
        weights = [(b["name"], b.get("weight", 1)) for b in rule.get("backendRefs", ())]
        if service_name(revision) in dict(weights):
            mine = sum(weight for name, weight in weights if name == service_name(revision))
            shares.append(100 * mine / (sum(weight for _, weight in weights) or 1))
    return " or ".join(f"{share:.4g} %" for share in sorted(set(shares)))


def not_ready(service: Object) -> str:
    """Why KServe does not serve a revision, in its own words."""
    status = service.get("status", {})
    failure = status.get("modelStatus", {}).get("lastFailureInfo", {}).get("message")
    said = (c.get("message") for c in status.get("conditions", ()) if c["status"] != "True")
    return failure or next((s for s in said if s), "") or "not yet ready"


def rollout_row(rollout: Object, now: datetime) -> dict[str, str | Text]:
    """A model's rollout by the columns of kubectl, and why it stands there."""
    try:
        status = Status.model_validate(rollout.get("status") or {})
    except ValidationError as error:
        status = Status(phase="Error", message=f"its status cannot be read: {error.error_count()} errors")
    cells = row(rollout["metadata"]["name"], status)
    is_told = status.phase in ("Holding", "RolledBack", "Error")
    return {**cells, "age": age(rollout, now), "": Text(status.message if is_told else "", style="red")}


def job_row(job: Object, now: datetime) -> dict[str, str | Text]:
    """A training job and how it stands."""
    read: Callable[[Object], Verdict] = trainjob.verdict if job["kind"] == "TrainJob" else indexed_job.verdict
    stands = read(job)
    spec = job["spec"]
    workers = spec["trainer"].get("numNodes", 1) if job["kind"] == "TrainJob" else spec.get("completions", 1)
    if stands.is_failed:
        state = Text(f"failed  {stands.message}", style="red")
    elif stands.is_complete:
        state = Text("done", style="green")
    else:
        state = Text("waits in its queue" if stands.is_suspended else "runs", style="yellow")
    return {
        "model": _model(job),
        "job": job["metadata"]["name"],
        "workers": str(workers),
        "age": age(job, now),
        "state": state,
    }


def gate_rows(service: Object) -> Iterator[dict[str, str | Text]]:
    """What the gates said of a revision, by the model card in its annotations."""
    said = service["metadata"].get("annotations", {}).get("lockgate.dev/verdicts", "")
    for number, verdict in enumerate(re.split(r"; (?=\w+ gate )", said) if said else ()):
        style = "green" if " gate open" in verdict else "default"
        yield {"revision": "" if number else service["metadata"]["name"], "verdict": Text(verdict, style)}


def age(thing: Object, now: datetime) -> str:
    """How long ago an object was made, in its largest unit."""
    return ago(now - datetime.fromisoformat(thing["metadata"]["creationTimestamp"]))


def _part(
    title: str, rows: Sequence[Mapping[str, str | Text]], otherwise: str, *, is_folded: bool = True
) -> Iterator[RenderableType]:
    if not rows:
        yield Text(f"\n{title}: ", style="bold").append(otherwise, style="not bold dim")
        return
    shown = Padding(table(rows, is_folded=is_folded), (0, 0, 0, 2))
    yield Group(Text(f"\n{title}", style="bold"), shown if is_folded else Whole(shown))


def _is_part(thing: Object) -> bool:
    return any(o["kind"] == "JobSet" for o in thing["metadata"].get("ownerReferences", ()))


def _model(thing: Object) -> str:
    return str(thing["metadata"].get("labels", {}).get(MODEL_LABEL, ""))


def main(namespace: str = "lockgate") -> int:
    """Prints the view of the cluster that KUBECONFIG names; returns the exit code."""
    console = Console(highlight=False)
    try:
        try:
            seen = look(Api.connect(), namespace)
        except Unreachable as error:
            raise ClusterError(
                error.given,
                "KUBECONFIG names the cluster to look at.",
                "Set KUBECONFIG, or make a cluster on this machine: make up.",
            ) from None
    except LockgateError as error:
        print_error(Console(stderr=True), error)
        return error.exit_code
    for part in view(seen, datetime.now(UTC)):
        console.print(part, crop=False)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
