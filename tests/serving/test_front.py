"""The short way and the long way answer alike; ids, refusals, overload, and what is never logged."""

import asyncio
import json
import re

import httpx
import pytest

SECRET = "Geheim-4711"
ROW = {"distance": 500, "carrier": "UA", "Zeit é": 1380604500}


@pytest.fixture(scope="module")
def server(exported, serve, tmp_path_factory):
    log = tmp_path_factory.mktemp("front") / "log"
    with serve(exported(), log, "--drain", "0", "--max-bytes", "400000", "--grpc-port", "0") as server:
        yield server


@pytest.fixture
def client(server):
    with httpx.Client(base_url=server.url, trust_env=False, timeout=30) as http:
        yield http


def v1(client, *rows, **more):
    return client.post("/v1/models/tiny:predict", json={"instances": list(rows)}, **more)


def v2(client, row=ROW, **changes):
    kinds = {"distance": "FP32", "carrier": "BYTES", "Zeit é": "INT64"}
    inputs = [{"name": n, "shape": [1], "datatype": kinds[n], "data": [v]} for n, v in row.items()]
    return client.post("/v2/models/tiny/infer", json={"inputs": inputs, **changes})


def metric(client, name, **labels):
    for line in client.get("/metrics").text.splitlines():
        if line.startswith(name) and all(f'{k}="{v}"' in line for k, v in labels.items()):
            return float(line.split()[-1])
    return 0.0


def test_a_request_id_is_taken_or_made_and_given_back(client):
    given = v1(client, ROW, headers={"x-request-id": "abc-123"})
    assert given.headers["x-request-id"] == "abc-123"
    made = {v1(client, ROW).headers["x-request-id"] for _ in range(3)}
    assert len(made) == 3
    odd = v1(client, ROW, headers={"x-request-id": "a b" * 100}).headers["x-request-id"]
    assert re.fullmatch(r"[0-9a-f]{12}-[0-9a-f]+", odd)
    assert v1(client, {}, headers={"x-request-id": "bad-1"}).headers["x-request-id"] == "bad-1"
    assert v2(client, id="mine").json()["id"] == "mine"
    assert v2(client, parameters={"binary_data_output": False}).headers["x-request-id"]


def test_both_ways_of_v2_answer_alike(client):
    short, long = v2(client).json(), v2(client, outputs=[{"name": "probability"}]).json()
    assert [o["name"] for o in short["outputs"]] == ["probability", "label", "decision"]
    chosen = {o["name"]: o["data"] for o in long["outputs"]}
    assert chosen["probability"] == short["outputs"][0]["data"]
    assert chosen["probability"] == [v1(client, ROW).json()["predictions"][0]["probability"]]


def test_a_cloud_event_takes_the_long_way(client):
    headers = {
        "ce-specversion": "1.0", "ce-id": "1", "ce-source": "x", "ce-type": "y",
        "content-type": "application/json",
    }  # fmt: skip
    body = json.dumps({"instances": [ROW]})
    answer = client.post("/v1/models/tiny:predict", content=body, headers=headers)
    assert answer.status_code == 200
    assert answer.json()["predictions"] == v1(client, ROW).json()["predictions"]


def test_bodies_come_in_parts_and_large_ones_are_answered_beside_the_loop(client):
    body = json.dumps({"instances": [ROW] * 2000}).encode()
    assert len(body) > 1 << 16
    whole = client.post("/v1/models/tiny:predict", content=body)
    chunked = client.post(
        "/v1/models/tiny:predict", content=(body[i : i + 7000] for i in range(0, len(body), 7000))
    )
    assert whole.status_code == chunked.status_code == 200
    assert len(whole.json()["predictions"]) == 2000
    assert whole.json() == chunked.json()
    bad = client.post("/v1/models/tiny:predict", content=body.replace(b'"UA"', b"[1]", 1))
    assert bad.status_code == 400
    assert "Column 'carrier' of row 0" in bad.json()["error"]


def test_too_large_is_refused_declared_or_not(client):
    before = metric(client, "lockgate_refused_total", reason="too_large")
    for content in (b" " * 400_001, (b" " * 1000 for _ in range(401))):
        answer = client.post("/v1/models/tiny:predict", content=content)
        assert answer.status_code == 413
        assert "400,000 bytes" in answer.json()["error"]
    assert metric(client, "lockgate_refused_total", reason="too_large") == before + 2


def test_requests_are_counted_by_code(client):
    before = {
        code: metric(client, "lockgate_requests_total", protocol="v1", code=code) for code in ("200", "400")
    }
    v1(client, ROW)
    v1(client, {})
    for code, count in before.items():
        assert metric(client, "lockgate_requests_total", protocol="v1", code=code) == count + 1
    assert metric(client, "lockgate_ready") == 1


def test_other_paths_and_methods_are_kserves(client):
    assert client.get("/v1/models").json() == {"models": ["tiny"]}
    assert client.get("/v2/models/tiny").json()["name"] == "tiny"
    assert client.post("/v1/models/other:predict", json={"instances": [ROW]}).status_code == 404
    assert client.get("/v1/models/tiny:predict").status_code in (404, 405)
    assert client.get("/v2/health/ready").json() == {"ready": True}


def test_nothing_but_the_two_predictions_takes_a_post(client):
    body = b" " * 400_001
    for path in ("/v2/models/tiny/versions/1/infer", "/v1/models/tiny:explain", "/v2/models/tiny", "/"):
        answer = client.post(path, content=body)
        assert answer.status_code == 404
        assert "/v1/models/tiny:predict and /v2/models/tiny/infer" in answer.json()["error"]


def test_the_log_holds_ids_but_no_payload(client, server):
    failing = {**ROW, "carrier": "poison"}
    answer = v1(client, ROW, failing, headers={"x-request-id": "failing-1"})
    assert answer.status_code == 500
    assert "not finite" in answer.json()["error"]
    secret = {**ROW, "carrier": SECRET}
    assert v1(client, secret).status_code == 200
    assert v1(client, {**secret, "distance": SECRET}).status_code == 400
    assert v1(client, {**secret, SECRET: 1}).status_code == 400
    assert v2(client, {**secret, "distance": SECRET}).status_code == 400
    assert v2(client, secret, parameters={"x": SECRET}).status_code == 200
    assert v2(client, {**secret, "distance": SECRET}, parameters={"x": SECRET}).status_code == 400
    for path in ("/v1/models/tiny:predict", "/v2/models/tiny/infer", "/v2/models/tiny/versions/1/infer"):
        assert client.post(path, content=f'{{"{SECRET}'.encode()).status_code >= 400
    log = server.log.read_text()
    assert "request failing-1 failed: ArithmeticError" in log
    assert SECRET not in log
    assert "poison" not in log


def test_overload_is_answered_503_with_retry_after(exported, serve, tmp_path):
    async def flood(url):
        limits = httpx.Limits(max_connections=40)
        async with httpx.AsyncClient(base_url=url, limits=limits, trust_env=False, timeout=60) as http:
            asked = (http.post("/v1/models/tiny:predict", json={"instances": [ROW]}) for _ in range(400))
            return await asyncio.gather(*asked)

    with serve(exported(), tmp_path / "log", "--drain", "0", "--max-waiting", "1") as server:
        answers = asyncio.run(flood(server.url))
        with httpx.Client(base_url=server.url, trust_env=False) as http:
            refused = metric(http, "lockgate_refused_total", reason="overloaded")
    codes = [a.status_code for a in answers]
    assert set(codes) == {200, 503}
    assert refused == codes.count(503)
    overloaded = next(a for a in answers if a.status_code == 503)
    assert overloaded.headers["retry-after"] == "1"
    assert "wait already" in overloaded.json()["error"]
