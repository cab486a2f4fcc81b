"""Moving the route: the API server's check of resourceVersion is kept by a cluster of one route."""

import copy
from typing import Any

import pytest

from components.cluster import delivery
from components.cluster.apply import Objects, refusal
from components.cluster.delivery import MOVES, ClusterDelivery
from lockgate.errors import DeliveryError
from lockgate.shipping.manifest import routed
from tests.unit.revisions import revision

MADE = revision()


def to(name: str) -> dict[str, Any]:
    """The route with all its traffic at another revision."""
    found = copy.deepcopy(dict(MADE.route))
    for rule in found["spec"]["rules"]:
        for backend in rule["backendRefs"]:
            backend["name"] = f"{name}-predictor"
    return found


class OneRoute(Objects):
    """A cluster whose route others write to right after it was read."""

    def __init__(self, route: dict[str, Any] | None, *others: dict[str, Any]) -> None:
        super().__init__(None)
        self.route, self.others, self.version = route, list(others), 1

    def find(self, path: str) -> dict[str, Any] | None:
        if self.route is None:
            return None
        read = copy.deepcopy(self.route)
        read["metadata"]["resourceVersion"] = str(self.version)
        if self.others:
            self.route, self.version = self.others.pop(0), self.version + 1
        return read

    def apply(self, manifest: Any, *, is_trial: bool = False) -> dict[str, Any]:
        if manifest["metadata"].get("resourceVersion") not in (None, str(self.version)):
            raise refusal(409, {"message": "the object has been modified"}, manifest)
        self.route, self.version = dict(manifest), self.version + 1
        return self.route


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "MOVE_PAUSE", 0.0)


def test_another_push_between_look_and_write_is_not_written_over() -> None:
    objects = OneRoute(to("flights-before"), to("flights-other"))
    with pytest.raises(DeliveryError, match="another push gave the traffic to flights-other"):
        ClusterDelivery(1, objects)._move(MADE, ("flights-before",))
    assert routed(objects.route or {}) == ("flights-other",)


def test_what_the_gateway_writes_meanwhile_is_no_other_push() -> None:
    objects = OneRoute(to("flights-before"), to("flights-before"), to("flights-before"))
    assert routed(ClusterDelivery(1, objects)._move(MADE, ("flights-before",))) == (MADE.name,)


def test_a_route_that_never_keeps_still_ends_in_the_servers_words() -> None:
    objects = OneRoute(to("flights-before"), *[to("flights-before")] * MOVES)
    with pytest.raises(DeliveryError, match="has been modified"):
        ClusterDelivery(1, objects)._move(MADE, ("flights-before",))


def test_a_models_first_route_is_just_made() -> None:
    assert routed(ClusterDelivery(1, OneRoute(None))._move(MADE, ())) == (MADE.name,)
