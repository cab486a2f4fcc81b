"""A pushed model as a ModelRollout: what a push says of it, and what it leaves as it is."""

from collections.abc import Mapping
from typing import Any

from lockgate.evaluation.record import Difference
from lockgate.project import Project
from lockgate.rollout.resource import API_VERSION, KIND, Git, ModelRevision, Spec, Traffic
from lockgate.shipping.limits import limited
from lockgate.shipping.manifest import DIGEST_ANNOTATION, MODEL_LABEL, RUNTIME, Object
from lockgate.shipping.record import ModelCard

FILE = "modelrollout.yaml"
OURS = "lockgate.dev/"


def first_spec(card: ModelCard, project: Project, host: str, revision: ModelRevision) -> Spec:
    """The spec of a model that has no ModelRollout yet: the revision is the stable one.

    Args:
        card: of the model; says how far it lies from the model before it.
        project: the sections push and rollout.
        host: host name of the model's route.
        revision: the pushed one.
    """
    push, rollout = project.push, project.rollout
    is_in_git = push.to == "git" and push.repository
    path = f"{push.path.strip('/')}/{card.name}/{FILE}"
    return Spec(
        host=host,
        stable=revision,
        steps=rollout.steps,
        mirror=rollout.mirror,
        analysis=rollout.analysis,
        traffic=Traffic(gateway=push.gateway),
        sticky_header=rollout.sticky_header,
        git=Git(repository=push.repository or "", branch=push.branch, path=path) if is_in_git else None,
    )


def pushed_onto(there: Spec, pushed: Spec, known: Difference | None) -> Spec:
    """What a push makes of a model's spec: its revision is the candidate, and project.yaml's rules hold.

    The stable revision is the controller's to change, and a pause is for people to end. Pushing the stable
    revision changes nothing.

    Args:
        there: the spec as it is.
        pushed: as `first_spec` gives it.
        known: how far the pushed revision lies from the model that it was judged against; its limits follow
        from it if that model is the stable one.
    """
    if pushed.stable.digest == there.stable.digest:
        return there
    is_known = known is not None and known.other == there.stable.digest
    changed = {
        "stable": there.stable,
        "candidate": pushed.stable,
        "paused": there.paused,
        "analysis": limited(pushed.analysis, known if is_known else None),
    }
    return pushed.model_copy(update=changed)


def adopted(service: Mapping[str, Any], example: Mapping[str, Any]) -> ModelRevision | None:
    """The revision that an InferenceService serves; None where it is not one that Lockgate made.

    Args:
        service: as the cluster has it.
        example: a real row for it; none is known to the InferenceService.
    """
    annotations = service["metadata"].get("annotations") or {}
    predictor = service["spec"].get("predictor") or {}
    model = predictor.get("model") or {}
    digest, address = annotations.get(DIGEST_ANNOTATION), model.get("storageUri")
    if not digest or not address:
        return None
    given = model.get("resources") or {}
    return ModelRevision(
        digest=digest,
        storage_uri=address,
        runtime=model.get("runtime") or RUNTIME,
        resources={part: given[part] for part in ("requests", "limits") if given.get(part)},
        replicas=predictor.get("minReplicas") or 1,
        example=example,
        annotations={k: v for k, v in annotations.items() if k.startswith(OURS) and k != DIGEST_ANNOTATION},
    )


def model_rollout(model: str, namespace: str, spec: Spec) -> Object:
    """The ModelRollout of a model; what is at its default is left out."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": model,
            "namespace": namespace,
            "labels": {
                "app.kubernetes.io/part-of": "lockgate",
                "app.kubernetes.io/component": "serving",
                MODEL_LABEL: model,
            },
        },
        "spec": written(spec),
    }


def written(spec: Spec) -> Object:
    """The spec as Kubernetes holds it, without what is at its default."""
    return spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
