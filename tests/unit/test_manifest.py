"""A model's Kubernetes objects: what KServe and the Gateway API are told, in words that they know."""

import re

import pytest
import yaml
from pydantic import ValidationError

from lockgate.errors import ConfigError
from lockgate.project import Data, Project, Push
from lockgate.shipping.annotations import LONGEST_ANNOTATION
from lockgate.shipping.manifest import LONGEST_NAME, render, routed
from lockgate.shipping.revision import revision_of
from tests.unit.revisions import DIGEST, STORE, card, project, revision


def built(data, kind):
    """A KServe or Kubernetes object from its YAML, by their own Python models; unknown keys are errors."""
    import kserve
    from kubernetes import client

    if nested := re.fullmatch(r"(list\[|dict\(str, )(.*)[\])]", kind):
        return (
            [built(v, nested[2]) for v in data]
            if nested[1] == "list["
            else {k: built(v, nested[2]) for k, v in data.items()}
        )
    model = getattr(kserve, kind, None) or getattr(client, kind.removeprefix("K8sIoApiAppsV1"), None)
    model = model or getattr(client, f"V1{kind.removeprefix('K8sIoApiAppsV1')}", None)
    if model is None:
        assert type(data).__name__ == kind or kind in ("object", "ResourceQuantity"), (data, kind)
        return data
    names = {key: name for name, key in model.attribute_map.items()}
    return model(**{names[key]: built(v, model.openapi_types[names[key]]) for key, v in data.items()})


def test_the_manifest_is_an_inference_service_for_kserve():
    from kubernetes.client import ApiClient

    manifest = yaml.safe_load(render(revision().service))
    service = built(manifest, "V1beta1InferenceService")
    kept = ApiClient().sanitize_for_serialization(service)
    assert kept["spec"]["predictor"]["model"].pop("name") == ""  # filled in by KServe's Python model
    assert kept == manifest
    with pytest.raises(KeyError, match="storageUrl"):
        built({"storageUrl": "gs://b"}, "V1beta1ModelSpec")


def test_a_revision_says_what_it_serves_and_where_it_lies():
    made = revision()
    assert (made.name, made.namespace, made.model, made.replicas) == (
        "flights-01234567", "serving", "flights", 2,
    )  # fmt: skip
    assert made.address == f"{STORE}/{DIGEST}"
    assert made.service["metadata"]["annotations"]["lockgate.dev/digest"] == DIGEST
    model = made.service["spec"]["predictor"]["model"]
    assert model["args"] == ["--name=flights"], "the name in the URL stays over revisions"
    assert model["resources"]["requests"]["memory"] == "1002M"  # 801 and a quarter more
    assert model["resources"]["limits"]["memory"] == "1500M"


def test_more_memory_than_the_limit_is_never_requested():
    made = revision_of(card(memory_mb=1400.0), project(), STORE, {})
    assert made.service["spec"]["predictor"]["model"]["resources"]["requests"]["memory"] == "1500M"


def test_pods_get_no_token_and_no_privileges():
    predictor = revision().service["spec"]["predictor"]
    assert predictor["automountServiceAccountToken"] is False
    assert predictor["serviceAccountName"] == "lockgate-serving"
    assert predictor["securityContext"] == {
        "runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"},
    }  # fmt: skip


def test_the_card_stands_in_short_annotations():
    long = card(limits=("It is worse there.",) * 1000)
    said = revision_of(long, project(), STORE, {}).service["metadata"]["annotations"]
    assert said["lockgate.dev/metrics"] == "roc_auc 0.72 (0.7 to 0.74), linear 0.69"
    assert said["lockgate.dev/verdicts"] == "model gate open: 3 of 3 checks passed, 1 warnings [Few rows.]"
    assert said["lockgate.dev/snapshot"] == "5" * 64
    assert said["lockgate.dev/created"] == "2026-01-02T03:04:05Z"
    assert said["lockgate.dev/card"] == f"{STORE}/{DIGEST}/card.json"
    assert said["lockgate.dev/trained-on"] == "12,345 rows of x.csv"
    assert len(said["lockgate.dev/limits"]) == LONGEST_ANNOTATION
    assert "lockgate.dev/decision" not in said, "what a card does not say is left out"
    assert all(isinstance(text, str) for text in said.values())


def test_all_traffic_of_the_model_goes_to_the_revision_and_metrics_stay_inside():
    route = revision().route
    assert route["metadata"]["name"] == "flights"
    assert route["spec"]["hostnames"] == ["flights.serving.models"]
    assert route["spec"]["parentRefs"][0]["name"] == "kserve-ingress-gateway"
    assert routed(route) == ("flights-01234567",)
    paths = {m["path"]["value"] for rule in route["spec"]["rules"] for m in rule["matches"]}
    assert paths == {"/v1/models", "/v2", "/inference.GRPCInferenceService"}


def test_host_and_gateway_come_from_the_project():
    made = revision(host="late.example.org", gateway="infra/public")
    assert made.host == "late.example.org"
    parent = made.route["spec"]["parentRefs"][0]
    assert (parent["namespace"], parent["name"]) == ("infra", "public")


@pytest.mark.parametrize(
    "wrong", [{"host": "Late.org"}, {"host": "a..b"}, {"host": "-a.org"}, {"gateway": "public"}]
)
def test_a_host_or_gateway_that_kubernetes_would_refuse_is_refused_at_once(wrong):
    with pytest.raises(ValidationError, match=r"give a (host name|Gateway)"):
        Push(**wrong)


def test_only_revisions_with_weight_count_as_routed():
    backends = [{"name": "a-00000000-predictor", "weight": 0}, {"name": "a-11111111-predictor", "weight": 7}]
    assert routed({"spec": {"rules": [{"backendRefs": backends}, {"backendRefs": backends}, {}]}}) == (
        "a-11111111",
    )


def test_the_longest_project_name_fits_into_kubernetes_labels():
    data = Data(source="x", label="y")
    longest = Project(name="x" * 39, task="binary", data=data)
    assert len(revision_of(card(name="x" * 39), longest, STORE, {}).name) == LONGEST_NAME
    for refused in ("x" * 40, "x-"):
        with pytest.raises(ValidationError, match="up to 39"):
            Project(name=refused, task="binary", data=data)
    with pytest.raises(ConfigError, match="no name for Kubernetes objects"):
        revision_of(card(name="x" * 40), longest, STORE, {})


def test_the_same_revision_is_the_same_bytes():
    assert render(revision().service) == render(revision().service)
    assert render(revision().route) == render(revision().route)
