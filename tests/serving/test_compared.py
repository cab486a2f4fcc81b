"""What a rollout compares two revisions by: one score a request, answers by hash, the revision's digits."""

import json
import re

import grpc
import httpx
import pytest
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub
from prometheus_client.parser import text_string_to_metric_families

from lockgate.shipping.folder import folder_digest
from serving.runtime.metrics import PROBABILITIES, SERIES
from serving.runtime.room import LARGE_BYTES

ROW = {"distance": 500, "carrier": "UA", "Zeit é": 1380604500}
OTHER = {"distance": 2900, "carrier": "Geheim-4711", "Zeit é": 1380660000}
POISON = {**ROW, "carrier": "poison"}
KINDS = {
    "distance": ("FP32", "fp32_contents", float),
    "carrier": ("BYTES", "bytes_contents", str.encode),
    "Zeit é": ("INT64", "int64_contents", int),
}
JSON = {"content-type": "application/json"}
EVENT = {**JSON, "ce-specversion": "1.0", "ce-id": "1", "ce-source": "x", "ce-type": "y"}
V1, V2 = "/v1/models/tiny:predict", "/v2/models/tiny/infer"


@pytest.fixture(scope="module")
def revisions(exported, serve, tmp_path_factory):
    """Two revisions of a model, the second with a bias; each with its URL and folder."""
    folders, logs = [exported(), exported("binary", 0.7)], tmp_path_factory.mktemp("compared")
    options = ("--drain", "0", "--max-bytes", "400000", "--grpc-port", "0")
    with serve(folders[0], logs / "a", *options) as a, serve(folders[1], logs / "b", *options) as b:
        yield list(zip((a, b), folders, strict=True))


@pytest.fixture
def client(revisions):
    with httpx.Client(base_url=revisions[0][0].url, headers=JSON, trust_env=False, timeout=30) as http:
        yield http


@pytest.fixture(scope="module")
def stub(revisions):
    port = re.search(r"gRPC listens on 127\.0\.0\.1:(\d+)", revisions[0][0].log.read_text())[1]
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield GRPCInferenceServiceStub(channel)


def v1(*rows):
    return json.dumps({"instances": list(rows)}).encode()


def v2(*rows, **more):
    inputs = [
        {"name": n, "shape": [len(rows)], "datatype": kind, "data": [row[n] for row in rows]}
        for n, (kind, *_) in KINDS.items()
    ]
    return json.dumps({"inputs": inputs, **more}).encode()


def rpc(*rows):
    inputs = [
        {"name": n, "shape": [len(rows)], "datatype": k, "contents": {field: [f(r[n]) for r in rows]}}
        for n, (k, field, f) in KINDS.items()
    ]
    return pb.ModelInferRequest(model_name="tiny", inputs=inputs)


def counted(client):
    """The samples of the metrics by name and labels."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    return {(s.name, *sorted(s.labels.items())): s.value for f in families for s in f.samples}


def firsts(client):
    """How many requests had a score, the scores' sum, and how many requests succeeded."""
    found = counted(client)
    succeeded = sum(
        value for (name, *labels), value in found.items()
        if name == "lockgate_requests_total" and dict(labels)["code"] in ("200", "OK")
    )  # fmt: skip
    name = "lockgate_request_score"
    return found[f"{name}_count",], found[f"{name}_sum",], succeeded


def test_every_way_counts_a_request_once_by_its_first_row(client, stub):
    score = client.post(V1, content=v1(ROW)).json()["predictions"][0]["probability"]
    large = v1(ROW, *[OTHER] * 1500)
    assert len(large) > LARGE_BYTES
    ways = {
        "V1": lambda: client.post(V1, content=v1(ROW, OTHER)),
        "V2": lambda: client.post(V2, content=v2(ROW, OTHER)),
        "many rows, aside": lambda: client.post(V2, content=v2(ROW, *[OTHER] * 300)),
        "large, aside": lambda: client.post(V1, content=large),
        "V1, the long way": lambda: client.post(V1, content=v1(ROW, OTHER), headers=EVENT),
        "V2, the long way": lambda: client.post(V2, content=v2(ROW, OTHER, outputs=[{"name": "label"}])),
        "gRPC": lambda: stub.ModelInfer(rpc(ROW, OTHER), timeout=20),
        "gRPC, large": lambda: stub.ModelInfer(rpc(ROW, *[OTHER] * 4000), timeout=20),
    }
    assert rpc(ROW, *[OTHER] * 4000).ByteSize() > LARGE_BYTES
    for way, ask in ways.items():
        count, total, succeeded = firsts(client)
        ask()
        now = firsts(client)
        assert (now[0], now[2]) == (count + 1, succeeded + 1), way
        assert now[1] - total == pytest.approx(score, rel=1e-5), way


def test_requests_that_fail_count_no_score_and_leave_no_answer(client, stub):
    count, _, succeeded = firsts(client)
    number = client.get("/lockgate/answers").json()["next"]
    for path, body in (
        (V1, v1({})), (V1, b"{"), (V1, v1(ROW, POISON)), (V2, v2(ROW, POISON)), (V2, b"{"),
        (V2, v2(ROW, POISON, parameters={"x": 1})), (V1, b" " * 400_001),
    ):  # fmt: skip
        assert client.post(path, content=body).status_code >= 400
    for bad in (rpc(ROW, POISON), rpc(ROW)):
        bad.outputs.add(name="odds")  # is found out after the model has answered
        with pytest.raises(grpc.RpcError):
            stub.ModelInfer(bad, timeout=20)
    assert firsts(client)[::2] == (count, succeeded)
    assert client.get("/lockgate/answers").json()["next"] == number


def test_copies_of_a_request_have_one_key_at_both_revisions(revisions):
    rows = [{**ROW, "distance": 100 * i} for i in range(20)]
    bodies = [(V1, v1(row, OTHER), {}) for row in rows] + [(V2, v2(row), {}) for row in rows]
    bodies += [(V1, v1(row), EVENT) for row in rows]
    said = []
    for server, folder in revisions:
        with httpx.Client(base_url=server.url, trust_env=False, timeout=30) as http:
            after = http.get("/lockgate/answers").json()["next"]
            answers = [http.post(path, content=body, headers=more) for path, body, more in bodies]
            text = http.get(f"/lockgate/answers?after={after}").text
        found = json.loads(text)
        assert (found["digest"], found["next"]) == (folder_digest(folder), after + 60)
        of_v1 = [answers[i].json()["predictions"][0] for i in (*range(20), *range(40, 60))]
        kept = [found["answers"][i] for i in (*range(20), *range(40, 60))]
        assert [(a["score"], a["label"]) for a in kept] == [(p["probability"], p["label"]) for p in of_v1]
        assert OTHER["carrier"] not in text
        said.append({a["request"]: a["score"] for a in found["answers"]})
    stable, candidate = said
    assert stable.keys() == candidate.keys()
    assert len(stable) == 60
    assert all(re.fullmatch("[0-9a-f]{16}", key) for key in stable)
    assert all(candidate[key] > score for key, score in stable.items())


def test_large_bodies_and_grpc_are_counted_but_leave_no_answer(client, stub):
    number = client.get("/lockgate/answers").json()["next"]
    assert client.post(V1, content=v1(*[ROW] * 1500)).status_code == 200
    assert stub.ModelInfer(rpc(ROW), timeout=20).outputs
    assert client.get("/lockgate/answers").json()["next"] == number


def test_a_number_that_is_none_is_refused_and_answers_are_only_read(client):
    refused = client.get("/lockgate/answers?after=x")
    assert refused.status_code == 400
    assert "whole number" in refused.json()["error"]
    assert client.post("/lockgate/answers", content=b"{}").status_code == 404
    for path in ("/v1/models/tiny/lockgate/answers", "/v2/lockgate/answers"):
        assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (V1, v1(ROW), 200), (V2, v2(ROW), 200), (V2, v2(ROW, outputs=[{"name": "label"}]), 200),
        (V1, v1({}), 400), (V2, b"{", 400), (V1, b" " * 400_001, 413), (V1, v1(POISON), 500),
    ],
)  # fmt: skip
def test_every_answer_of_a_prediction_path_names_the_revision(revisions, path, body, status):
    for server, folder in revisions:
        answer = httpx.post(server.url + path, content=body, headers=JSON, trust_env=False, timeout=30)
        assert answer.status_code == status
        assert answer.headers.get_list("x-lockgate-revision") == [folder_digest(folder)[:8]]


def test_grpc_names_the_revision_before_its_answer_or_refusal(revisions, stub):
    digits = folder_digest(revisions[0][1])[:8]
    for given, code in ((rpc(ROW), grpc.StatusCode.OK), (rpc(), grpc.StatusCode.INVALID_ARGUMENT)):
        call = stub.ModelInfer.future(given, timeout=20)
        assert call.code() == code
        assert dict(call.initial_metadata())["x-lockgate-revision"] == digits


def test_the_controller_reads_memory_and_counts_in_one_quick_scrape(client):
    assert counted(client)["process_resident_memory_bytes",] > 50e6
    seconds = []
    for _ in range(20):
        answer = client.get("/metrics")
        seconds.append(answer.elapsed.total_seconds())
    assert min(seconds) < 0.01


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_other_tasks_count_by_fixed_bounds_and_by_label(exported, serve, tmp_path, task):
    with (
        serve(exported(task), tmp_path / "log", "--drain", "0") as server,
        httpx.Client(base_url=server.url, trust_env=False, timeout=30) as client,
    ):
        predictions = [client.post(V1, content=v1(r, ROW)).json()["predictions"][0] for r in (ROW, OTHER)]
        answers = client.get("/lockgate/answers").json()["answers"]
        found = counted(client)
    name = "lockgate_request_score"
    bounds = {float(dict(k)["le"]) for n, *k in found if n == f"{name}_bucket"} - {float("inf")}
    if task == "regression":
        assert bounds == set(SERIES)
        assert [(a["score"], a["label"]) for a in answers] == [(p["prediction"], None) for p in predictions]
        for le in SERIES:  # with negative bounds, Prometheus' form has buckets alone
            below = sum(a["score"] <= le for a in answers)
            assert found[f"{name}_bucket", ("le", str(le))] == below
        return
    assert bounds == set(PROBABILITIES)
    best = [(max(p["probabilities"].values()), p["label"]) for p in predictions]
    assert [(a["score"], a["label"]) for a in answers] == best
    by_label = {label: found[f"{name}_count", ("label", label)] for label in ("Adélie", "b", "c")}
    assert by_label == {label: [b[1] for b in best].count(label) for label in by_label}
