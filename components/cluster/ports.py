"""The ports of a step in a pod: the cluster's versions, as its settings say."""

import os

from lockgate.ports import Delivery, Ports
from lockgate.project import Push


def ports(settings: str) -> Ports:
    """The ports of a step with these settings (JSON); outside of a pod the laptop's."""
    if "KUBERNETES_SERVICE_HOST" not in os.environ:
        return Ports()
    from components.cluster.connection import Api
    from components.cluster.launcher import PodWorkers
    from lockgate.steps.step import Settings

    project = Settings.model_validate_json(settings).project
    return Ports(workers=PodWorkers(Api.connect, project.cluster.namespace), delivery=delivery(project.push))


def delivery(push: Push) -> Delivery | None:
    """Where a pushed model is delivered to, as project.yaml says; None: it stays in its folder."""
    is_rollout = push.strategy == "rollout"
    match push.to:
        case "folder":
            return None
        case "git":
            from components.cluster.git import GitDelivery, GitRolloutDelivery

            chosen = GitRolloutDelivery if is_rollout else GitDelivery
            return chosen(push.repository or "", push.branch, push.path)
        case "cluster":
            from components.cluster.apply import Objects
            from components.cluster.delivery import ClusterDelivery
            from components.cluster.rollout import RolloutDelivery

            objects = Objects.connect()
            return RolloutDelivery(objects) if is_rollout else ClusterDelivery(push.ready_seconds, objects)
