"""Where the revisions' servers are asked for what they have counted: their pods."""

from collections.abc import Mapping

from components.cluster.apply import collection
from components.cluster.connection import Api, Object
from lockgate.shipping.names import REVISION_LABEL
from serving.controller.cluster.pods import of_revision
from serving.controller.cluster.pods import servers as servers_in
from serving.controller.ports import Rollout, Side
from serving.controller.scrape import Server


class ClusterServers:
    """Finds the model servers of a rollout; those that are stopping are among them while they run.

    Args:
        api: the connection to the cluster.
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    def servers(self, rollout: Rollout, names: Mapping[Side, str]) -> Mapping[Side, list[Server]]:
        """The servers of each side, by the revisions' names.

        Raises:
            ClusterError: the pods cannot be listed.
        """
        selector = f"{REVISION_LABEL} in ({','.join(sorted(set(names.values())))})"
        path = collection("v1", "pods", rollout.namespace)
        pods: list[Object] = self._api.get(path, labelSelector=selector)["items"]
        return {
            side: servers_in(of_revision(pods, name), name.rsplit("-", 1)[1]) for side, name in names.items()
        }
