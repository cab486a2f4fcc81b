"""The ports of a step in a pod: the cluster's versions, as its settings say."""

import os

from lockgate.ports import Ports


def ports(settings: str) -> Ports:
    """The ports of a step with these settings (JSON); outside of a pod the laptop's."""
    if "KUBERNETES_SERVICE_HOST" not in os.environ:
        return Ports()
    from components.cluster.connection import Api
    from components.cluster.launcher import PodWorkers
    from lockgate.steps.step import Settings

    cluster = Settings.model_validate_json(settings).project.cluster
    return Ports(workers=PodWorkers(Api.connect, cluster.namespace))
