"""A pushed model behind KServe and the gateway: it answers as on the laptop, and loses no request."""

import json
import os
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest

from lockgate.errors import DeliveryError
from lockgate.shipping.server import running
from tests.cluster.kube import Kubectl, wait_for
from tests.cluster.load import Load
from tests.cluster.penguins import PREDICT, rows
from tests.cluster.served import Place, corrupted, place, trained, upload, variant

PODS = "serving.kserve.io/inferenceservice={}"
RATE = 50.0
SPECIES = ("Adelie", "Chinstrap", "Gentoo")


@pytest.fixture(scope="module")
def model() -> Path:
    """The model's folder on this machine."""
    return trained()


@pytest.fixture(scope="module")
def there(kubectl: Kubectl, namespace: str, bucket: str, gateway: str, model: Path) -> Place:
    """The namespace with the model served by two pods."""
    made = place(kubectl, namespace, bucket, gateway)
    made.push(model)
    return made


@pytest.fixture(scope="module")
def name(there: Place, model: Path) -> str:
    """The revision's name."""
    return there.revision(model).name


def columns(given: list[dict[str, Any]]) -> dict[str, Any]:
    """The rows as a V2 request."""
    kinds = {True: "BYTES", False: "FP64"}
    inputs = [
        {
            "name": key,
            "shape": [len(given)],
            "datatype": kinds[key in ("island", "sex")],
            "data": [row[key] for row in given],
        }
        for key in given[0]
    ]
    return {"inputs": inputs}


def scores(answer: httpx.Response) -> np.ndarray:
    """The probabilities of a V1 or V2 answer, a row per penguin."""
    assert answer.status_code == 200, answer.text
    said = answer.json()
    if "predictions" in said:
        return np.array([[p["probabilities"][s] for s in SPECIES] for p in said["predictions"]])
    found = next(o for o in said["outputs"] if o["name"] == "probabilities")
    return np.reshape(found["data"], found["shape"])


def pods(kubectl: Kubectl, namespace: str, name: str) -> list[dict[str, Any]]:
    found = kubectl.get("pods", namespace=namespace, labels=PODS.format(name))["items"]
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def test_the_gateway_gives_the_same_scores_as_the_laptop(there: Place, model: Path) -> None:
    asked = rows(200)
    with running(model, "penguins") as laptop, httpx.Client(trust_env=False, timeout=30) as client:
        expected = scores(client.post(f"{laptop.url}{PREDICT}", json={"instances": asked}))
    first = scores(there.post({"instances": asked}))
    second = scores(there.post(columns(asked), "/v2/models/penguins/infer"))
    assert np.ptp(expected[:, 0]) > 0.5, "rows that all get the same score would compare nothing"
    assert np.abs(first - expected).max() <= 1e-6
    assert np.abs(second - expected).max() <= 1e-6


def test_grpc_goes_through_the_same_route(there: Place) -> None:
    import grpc
    from kserve import InferResponse
    from kserve.protocol.grpc.grpc_predict_v2_pb2 import ModelInferRequest
    from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

    asked = rows(20)
    request = ModelInferRequest(model_name="penguins")
    for given in columns(asked)["inputs"]:
        tensor = request.inputs.add(name=given["name"], shape=given["shape"], datatype=given["datatype"])
        if given["datatype"] == "BYTES":
            tensor.contents.bytes_contents.extend((v or "").encode() for v in given["data"])
        else:
            # gRPC knows no null: a missing number is NaN.
            tensor.contents.fp64_contents.extend(float("nan") if v is None else v for v in given["data"])
    authority = [("grpc.default_authority", f"penguins.{there.namespace}.models")]
    with grpc.insecure_channel(urlsplit(there.gateway).netloc, authority) as channel:
        answer = GRPCInferenceServiceStub(channel).ModelInfer(request, timeout=30)
    outputs = InferResponse.from_grpc(answer).outputs
    got = next(o.as_numpy() for o in outputs if o.name == "probabilities")
    expected = scores(there.post({"instances": asked}))
    assert np.abs(got - expected).max() <= 1e-6


def test_a_bad_value_is_answered_400_with_the_columns_name(there: Place) -> None:
    row = rows(1)[0]
    answer = there.post({"instances": [row | {"body_mass_g": "heavy"}]})
    assert answer.status_code == 400
    assert "body_mass_g" in answer.json()["error"]
    missing = there.post({"instances": [{k: v for k, v in row.items() if k != "island"}]})
    assert missing.status_code == 400
    assert "island" in missing.json()["error"]


@pytest.mark.parametrize("path", ["/metrics", "/", "/v2/repository/index"])
def test_nothing_but_predictions_is_reached_from_outside(there: Place, path: str) -> None:
    headers = {"Host": f"penguins.{there.namespace}.models"}
    assert httpx.get(f"{there.gateway}{path}", headers=headers, trust_env=False).status_code in (
        403,
        404,
        405,
    )


def test_pods_have_no_token_no_privileges_and_nothing_to_write_to(
    kubectl: Kubectl, there: Place, name: str
) -> None:
    pod = pods(kubectl, there.namespace, name)[0]
    spec = pod["spec"]
    assert spec["serviceAccountName"] == "lockgate-serving"
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not [v for v in spec["volumes"] if "projected" in v or "secret" in v], "no token"
    for container in (*spec["initContainers"], *spec["containers"]):
        context = container["securityContext"]
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
    program = (
        "import os, pathlib\n"
        "print(os.getuid() != 0, pathlib.Path('/var/run/secrets').exists())\n"
        "for place in ('/', '/mnt/models', '/opt/lockgate', '/tmp'):\n"
        "    try: pathlib.Path(place, 'x').write_text('x'); print('wrote', place)\n"
        "    except OSError: print('refused', place)\n"
    )
    said = kubectl("exec", "-n", there.namespace, pod["metadata"]["name"], "-c", "kserve-container",
                   "--", "python3", "-c", program)  # fmt: skip
    assert said.splitlines() == [
        "True False", "refused /", "refused /mnt/models", "refused /opt/lockgate", "wrote /tmp",
    ]  # fmt: skip


def test_deleting_a_pod_under_load_loses_no_request(kubectl: Kubectl, there: Place, name: str) -> None:
    before = pods(kubectl, there.namespace, name)
    assert len(before) == 2
    victim = before[0]["metadata"]["name"]
    body = {"instances": rows(1)}
    with Load(f"{there.gateway}{PREDICT}", f"penguins.{there.namespace}.models", body, RATE) as load:
        wait_for(lambda: load.sent > RATE, 30, "a second of load")
        kubectl("delete", "pod", victim, "-n", there.namespace, "--wait=true")

        def healed() -> bool:
            now = pods(kubectl, there.namespace, name)
            return len(now) == 2 and all(is_ready(p) and p["metadata"]["name"] != victim for p in now)

        wait_for(healed, 180, "a pod in place of the deleted one")
        after = load.sent
        wait_for(lambda: load.sent > after + 5 * RATE, 60, "five more seconds of load")
    print(f"{load.sent} requests in {load.seconds:.0f} s, slowest {load.slowest:.2f} s, lost {load.lost()}")
    assert load.lost() == {}
    assert load.sent >= 0.95 * RATE * load.seconds, "the load was really that of 50 requests a second"


def test_the_servers_numbers_are_scraped(there: Place, name: str) -> None:
    host = urlsplit(there.gateway).hostname
    address = os.environ.get("LOCKGATE_TEST_PROMQL", f"http://{host}:9090")
    wanted = f'sum(lockgate_requests_total{{namespace="{there.namespace}",code="200"}})'

    def counted() -> float:
        answer = httpx.get(f"{address}/api/v1/query", params={"query": wanted}, trust_env=False)
        found = answer.json()["data"]["result"]
        return float(found[0]["value"][1]) if found else 0.0

    there.post({"instances": rows(1)})
    assert wait_for(counted, 60, "a count of requests") >= 1


@pytest.fixture
def second(kubectl: Kubectl, namespace: str, bucket: str, gateway: str) -> Place:
    """The same namespace under another folder of the bucket, where a model is not what its name says."""
    return place(kubectl, namespace, f"{bucket}/corrupt", gateway)


def test_a_corrupt_model_never_becomes_ready_and_says_why(
    kubectl: Kubectl, there: Place, second: Place, model: Path, tmp_path: Path
) -> None:
    """The one weight that differs is found by the server, whatever the storage says of the download."""
    broken = corrupted(model, tmp_path)
    made = second.revision(broken, replicas=1)
    # A revision of the same digest has the same name: this one takes another, and the other's annotation.
    service = json.loads(json.dumps(made.service))
    service["metadata"]["name"] = f"{made.name}-broken"
    upload(broken, second.store)
    second.objects.apply(service)

    def refused() -> str:
        for pod in pods(kubectl, there.namespace, f"{made.name}-broken"):
            for container in pod["status"].get("containerStatuses", []):
                for state in (container["state"], container["lastState"]):
                    if "terminated" in state:
                        return str(state["terminated"].get("message", ""))
        return ""

    said = wait_for(refused, 180, "the server's refusal")
    assert made.digest in said
    assert "The content of" in said or "holds another model" in said
    end = time.monotonic() + 15
    while time.monotonic() < end:
        found = kubectl.get("inferenceservice", f"{made.name}-broken", namespace=there.namespace)
        ready = [c["status"] for c in found["status"].get("conditions", []) if c["type"] == "Ready"]
        assert ready != ["True"]
        time.sleep(1)
    kubectl("delete", "inferenceservice", f"{made.name}-broken", "-n", there.namespace)


def test_a_push_of_a_corrupt_model_ends_with_the_servers_words(
    kubectl: Kubectl, there: Place, second: Place, model: Path, tmp_path: Path
) -> None:
    """The push step waits for pods that will not come, quotes them, and leaves the route where it is."""
    good = variant(model, tmp_path, 0.25)
    (tmp_path / "bad").mkdir()
    broken = corrupted(good, tmp_path / "bad")
    begun = time.monotonic()
    with pytest.raises(DeliveryError, match="does not serve, and waiting will not mend it") as refused:
        second.push(broken, replicas=1)
    assert time.monotonic() - begun < 120, "it was seen to be hopeless long before the deadline"
    assert broken.name in refused.value.given
    assert "stays where it was" in refused.value.allowed
    route = kubectl.get("httproute", "penguins", namespace=there.namespace)
    assert {b["name"] for r in route["spec"]["rules"] for b in r["backendRefs"]} == {
        f"{there.revision(model).name}-predictor"
    }
    assert there.post({"instances": rows(1)}).status_code == 200
