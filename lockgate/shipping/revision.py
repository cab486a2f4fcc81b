"""A pushed model as what a cluster is to hold of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lockgate.project import Project
from lockgate.rollout.resource import Spec
from lockgate.shipping.manifest import Object, http_route, model_revision, service_of
from lockgate.shipping.names import revision_name
from lockgate.shipping.record import ModelCard
from lockgate.shipping.rollout import first_spec


@dataclass(frozen=True)
class Revision:
    """A model revision: its card, its Kubernetes objects, and a real row to ask it about.

    The same card and the same project give the same objects, byte for byte, whenever they are made.

    `service` is the InferenceService, `route` the model's HTTPRoute with all traffic on this revision.
    `row` holds the input columns as JSON values. `spec` is that of a ModelRollout with this revision as the
    stable one.
    """

    card: ModelCard
    service: Object
    route: Object
    row: Mapping[str, Any]
    spec: Spec

    @property
    def model(self) -> str:
        """The model's name: the same over its revisions, in URLs and labels."""
        return self.card.name

    @property
    def digest(self) -> str:
        """The digest of the model's content."""
        return self.card.content

    @property
    def name(self) -> str:
        """The revision's name, `<model>-<digest8>`."""
        return revision_name(self.model, self.digest)

    @property
    def namespace(self) -> str:
        """The namespace of all its objects."""
        return str(self.route["metadata"]["namespace"])

    @property
    def host(self) -> str:
        """The host name of the model's route."""
        return str(self.route["spec"]["hostnames"][0])

    @property
    def address(self) -> str:
        """Where the model's folder lies in the cluster's reach."""
        return str(self.service["spec"]["predictor"]["model"]["storageUri"])

    @property
    def replicas(self) -> int:
        """How many pods are to serve it."""
        return int(self.service["spec"]["predictor"]["minReplicas"])


def revision_of(card: ModelCard, project: Project, store: str, row: Mapping[str, Any]) -> Revision:
    """The revision of a pushed model.

    Args:
        card: of the model.
        project: the sections cluster, push, rollout and serving.
        store: where model folders lie in the cluster's reach, such as gs://bucket/models.
        row: the model's example.

    Raises:
        ConfigError: the model's name makes no Kubernetes name.
    """
    revision = model_revision(card, project, store, row)
    route = http_route(card, project)
    return Revision(
        card=card,
        service=service_of(card.name, project.cluster.namespace, revision),
        route=route,
        row=row,
        spec=first_spec(card, project, route["spec"]["hostnames"][0], revision),
    )
