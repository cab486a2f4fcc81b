"""Every object of the manifests is taken by a real API server, by its schemas and webhooks, as it is."""

import copy
import subprocess

import pytest
import yaml

from lockgate.shipping.manifest import route_of
from tests.cluster.manifests.objects import Object, stream
from tests.manifests.built import COMPONENTS, MANIFESTS, OVERLAYS, adhoc, build, overlay

BASE = MANIFESTS / "base"
DRY = ("apply", "--server-side", "--dry-run=server", "--validate=strict", "--force-conflicts", "-f", "-")


def into(objects: list[Object], namespace: str) -> list[Object]:
    """The objects with `namespace` for each namespace that this cluster may not have."""
    changed = copy.deepcopy(objects)
    for thing in changed:
        if "namespace" in thing["metadata"]:
            thing["metadata"]["namespace"] = namespace
    return changed


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_server_takes_every_object_of_an_overlay(kubectl, all_kinds, place, name):
    objects = into(overlay(name), place)
    said = kubectl(*DRY, stdin=stream(*objects))
    assert said.count("serverside-applied (server dry run)") == len(objects)


@pytest.mark.parametrize("name", COMPONENTS)
def test_the_server_takes_every_component(kubectl, all_kinds, place, name):
    objects = into(adhoc([BASE], [MANIFESTS / "components" / name]), place)
    said = kubectl(*DRY, stdin=stream(*objects))
    assert said.count("serverside-applied (server dry run)") == len(objects)


@pytest.mark.parametrize("folder", ["flux/staging", "flux/production", "argocd"])
def test_the_server_takes_what_gitops_follows(kubectl, all_kinds, place, folder):
    objects = into(build(MANIFESTS / "clusters" / folder), place)
    said = kubectl(*DRY, stdin=stream(*objects))
    assert said.count("serverside-applied (server dry run)") == len(objects)


@pytest.mark.parametrize("name", ["gateway", "bucket", "kserve"])
def test_the_server_takes_what_make_up_adds(kubectl, name):
    objects = into(list(yaml.safe_load_all((MANIFESTS / "kind" / f"{name}.yaml").read_text())), "default")
    said = kubectl(*DRY, stdin=stream(*objects))
    assert said.count("serverside-applied (server dry run)") == len(objects)


def test_the_server_takes_a_route_that_copies_requests(kubectl):
    weights = {"flights-01234567": 95, "flights-fedcba98": 5}
    gateway, copies = "kserve/kserve-ingress-gateway", ("flights-fedcba98", 10)
    route = route_of("flights", "default", "flights.test", gateway, weights, mirror=copies)
    assert {rule["filters"][0]["type"] for rule in route["spec"]["rules"]} == {"RequestMirror"}
    assert "serverside-applied (server dry run)" in kubectl(*DRY, stdin=stream(route))


def test_the_server_would_not_take_a_misspelt_field(kubectl, all_kinds, place):
    objects = into(overlay("production"), place)
    (queue,) = [o for o in objects if o["kind"] == "ClusterQueue"]
    queue["spec"]["resourceGroup"] = queue["spec"].pop("resourceGroups")
    with pytest.raises(subprocess.CalledProcessError, match="resourceGroup"):
        kubectl(*DRY, stdin=stream(queue))
