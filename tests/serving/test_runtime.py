"""The model server as a process: both protocols, refusals, limits, draining, what it listens on."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from urllib.parse import urlsplit

import httpx
import numpy as np
import psutil
import pytest

from lockgate.errors import ServingError
from lockgate.shipping.folder import Example, ServingSpec, folder_digest, stage
from lockgate.shipping.server import running

ROW = {"distance": 500, "carrier": "UA", "Zeit é": "2013-10-01T05:15:00Z"}
THRESHOLD = 0.6


@pytest.fixture(scope="module")
def server(exported, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "draft"
    stage(exported(), ServingSpec(threshold=THRESHOLD), Example(row=ROW), folder)
    named = folder.rename(folder.with_name(folder_digest(folder)))
    with running(named, "tiny", options=["--max-rows", "3000", "--max-bytes", "300000"]) as started:
        yield started


@pytest.fixture
def client(server):
    with httpx.Client(base_url=server.url, trust_env=False) as http:
        yield http


def v1(client, *rows, **options):
    return client.post("/v1/models/tiny:predict", json={"instances": list(rows)}, **options)


def v2(distance, carrier, time, **changes):
    inputs = [
        {"name": "distance", "shape": [len(distance)], "datatype": "FP32", "data": distance},
        {"name": "carrier", "shape": [len(carrier)], "datatype": "BYTES", "data": carrier},
        {"name": "Zeit é", "shape": [len(time)], "datatype": "INT64", "data": time},
    ]
    return {"inputs": inputs, **changes}


def test_v1_answers_with_probability_label_and_decision_by_the_threshold(client, exported, path_of):
    import polars as pl

    rows = [{**ROW, "distance": d, "carrier": c} for d in (-2000, 0, 2500) for c in ("UA", "é", None)]
    answer = v1(client, *rows)
    assert answer.status_code == 200
    frame = pl.DataFrame(rows).with_columns(pl.col("Zeit é").str.to_datetime(time_zone="UTC"))
    wanted = path_of(exported())(frame)
    for given, score in zip(answer.json()["predictions"], wanted, strict=True):
        decision = bool(score >= np.float32(THRESHOLD))
        assert given == {"probability": float(score), "label": str(decision).lower(), "decision": decision}
    assert {p["decision"] for p in answer.json()["predictions"]} == {True, False}


def test_v2_answers_like_v1_and_v2_metadata_names_the_columns(client):
    first = v1(client, ROW, dict.fromkeys(ROW)).json()["predictions"]
    answer = client.post("/v2/models/tiny/infer", json=v2([500, None], ["UA", None], [1380604500, None]))
    outputs = {o["name"]: (o["datatype"], o["data"]) for o in answer.json()["outputs"]}
    assert outputs == {
        "probability": ("FP32", [p["probability"] for p in first]),
        "label": ("BYTES", [p["label"] for p in first]),
        "decision": ("BOOL", [p["decision"] for p in first]),
    }
    metadata = client.get("/v2/models/tiny").json()
    inputs = [(i["name"], i["datatype"], i["shape"]) for i in metadata["inputs"]]
    assert inputs == [("distance", "FP32", [-1]), ("carrier", "BYTES", [-1]), ("Zeit é", "INT64", [-1])]


def test_v2_takes_binary_tensors_with_nan_for_a_missing_number(client):
    texts = b"".join(len(t).to_bytes(4, "little") + t for t in (b"UA", b""))
    tensors = [
        ("distance", "FP32", np.array([500, np.nan], "<f4").tobytes()),
        ("carrier", "BYTES", texts),
        ("Zeit é", "INT64", np.array([1380604500] * 2, "<i8").tobytes()),
    ]
    head = json.dumps({
        "inputs": [
            {"name": n, "datatype": d, "shape": [2], "parameters": {"binary_data_size": len(b)}}
            for n, d, b in tensors
        ]
    }).encode()  # fmt: skip
    headers = {"inference-header-content-length": str(len(head)), "content-type": "application/octet-stream"}
    body = head + b"".join(b for _, _, b in tensors)
    answer = client.post("/v2/models/tiny/infer", content=body, headers=headers)
    wanted = v1(client, ROW, {**ROW, "distance": None, "carrier": None}).json()["predictions"]
    assert answer.json()["outputs"][0]["data"] == [p["probability"] for p in wanted]
    bad = client.post("/v2/models/tiny/infer", content=head[:-9] + body, headers=headers)
    assert bad.status_code == 400


def test_a_request_without_content_type_is_read_as_json(client):
    body = json.dumps({"instances": [ROW]})
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert client.post("/v1/models/tiny:predict", content=body, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"distance": "500"}, "Column 'distance' of row 1 is a string. A number"),
        ({"distance": [500]}, "Column 'distance' of row 1 is a list."),
        ({"carrier": {"a": 1}}, "Column 'carrier' of row 1 is an object."),
        ({"Zeit é": "yesterday"}, "Column 'Zeit é' of row 1 is a string that is no date."),
        ({"Zeit é": 1380604500000}, "(milliseconds?)"),
        ({"distnce": 5}, "a column 'distnce', which the model does not know. Did you mean 'distance'?"),
    ],
)
def test_a_wrong_value_is_refused_with_column_row_and_what_is_allowed(client, changes, words):
    answer = v1(client, ROW, ROW | changes)
    assert answer.status_code == 400
    assert words in answer.json()["error"]


def test_an_absent_column_is_refused_and_null_is_taken(client):
    absent = v1(client, {k: v for k, v in ROW.items() if k != "carrier"})
    assert absent.status_code == 400
    assert "no column 'carrier'" in absent.json()["error"]
    assert v1(client, {**ROW, "carrier": None}).status_code == 200


@pytest.mark.parametrize("literal", ["NaN", "-Infinity", "1e400", "1e39"])
def test_numbers_that_json_or_float32_has_not_are_refused_by_column(client, literal):
    body = json.dumps({"instances": [ROW]}).replace("500", literal)
    answer = client.post("/v1/models/tiny:predict", content=body)
    assert answer.status_code == 400
    assert "'distance'" in answer.json()["error"]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"3", b"\xff\xfe", b'{"instances": []}', b'{"instances": 3}', b'{"rows": []}',
        b'{"inputs": 3}', b'{"inputs": [{"name": "distance"}]}', b'{"instances": [[1]]}',
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/v1/models/tiny:predict", "/v2/models/tiny/infer"])
def test_a_request_of_no_form_is_refused_and_the_server_lives_on(client, path, body):
    answer = client.post(path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert v1(client, ROW).status_code == 200


def test_v2_refuses_wrong_datatypes_shapes_and_lengths_by_column(client):
    good = v2([500], ["UA"], [1380604500])
    for place, change in [
        (0, {"datatype": "BYTES"}), (1, {"datatype": "FP32"}), (2, {"datatype": "BOOL"}),
        (0, {"shape": [1, 2]}), (0, {"data": []}), (1, {"data": ["a", "b"]}), (2, {"shape": [2]}),
        (1, {"data": ["\ud800"]}), (0, {"data": [[1]]}),
    ]:  # fmt: skip
        inputs = [dict(i) for i in good["inputs"]]
        inputs[place] |= change
        body = json.dumps({"inputs": inputs})  # in ASCII, so that a lone surrogate can be said
        headers = {"content-type": "application/json"}
        answer = client.post("/v2/models/tiny/infer", content=body, headers=headers)
        assert answer.status_code == 400, change
        assert f"'{inputs[place]['name']}'" in answer.json()["error"]


def test_too_many_rows_and_too_many_bytes_are_refused(client):
    rows = {"instances": [{"distance": 1, "carrier": "a", "Zeit é": 1}] * 3001}
    too_many = client.post("/v1/models/tiny:predict", json=rows)
    assert too_many.status_code == 400
    assert "3,001 rows" in too_many.json()["error"]
    too_large = client.post("/v1/models/tiny:predict", content=b" " * 300_001)
    assert too_large.status_code == 413
    assert "300,000 bytes" in too_large.json()["error"]


def test_it_listens_on_loopback_alone_and_asks_nothing_of_the_network(server):
    connections = psutil.Process(server.pid).connections(kind="inet")
    assert {c.laddr.ip for c in connections} == {"127.0.0.1"}
    assert {c.raddr.ip for c in connections if c.raddr} <= {"127.0.0.1"}


def test_nobody_can_unload_the_model(client):
    assert client.post("/v2/repository/models/tiny/unload").status_code == 403
    assert v1(client, ROW).status_code == 200


def test_sigterm_drains(exported):
    """Requests that the server has begun are answered; then it ends with 0."""
    with running(exported(), "tiny") as server:
        process = psutil.Process(server.pid)
        address = urlsplit(server.url)
        body = json.dumps({"instances": [ROW] * 2000}).encode()
        head = (
            f"POST /v1/models/tiny:predict HTTP/1.1\r\nhost: {address.netloc}\r\nexpect: 100-continue\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        ).encode()
        begun = [socket.create_connection((address.hostname, address.port), timeout=30) for _ in range(6)]
        for connection in begun:
            connection.sendall(head)
            assert connection.recv(100).startswith(b"HTTP/1.1 100 ")  # the server waits for the body now
        process.send_signal(signal.SIGTERM)
        for connection in begun:
            connection.sendall(body)
        for connection in begun:
            answer = b"".join(iter(lambda c=connection: c.recv(1 << 16), b""))
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert answer.count(b'"probability"') == 2000
            connection.close()
        assert process.wait(timeout=20) in (0, None)


def start(folder):
    words = [sys.executable, "-m", "serving.runtime", "--model", folder, "--name", "tiny", "--port", "0"]
    return subprocess.run(
        words, capture_output=True, text=True, timeout=60, env=dict(os.environ), check=False
    )


def test_a_folder_that_is_not_what_its_digest_says_is_not_served(exported, tmp_path):
    digest = stage(exported(), ServingSpec(), Example(row=ROW), tmp_path / "draft")
    changed = tmp_path / digest
    shutil.copytree(tmp_path / "draft", changed)
    (changed / "serving.json").write_text('{"threshold": 0.01}')
    ended = start(changed)
    assert ended.returncode == ServingError.exit_code
    assert "was changed: its digest is" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_server_that_ends_is_told_with_its_last_words(tmp_path):
    with (
        pytest.raises(ServingError, match=r"ended with exit code 8 .* is not a model folder"),
        running(tmp_path, "x"),
    ):
        pytest.fail("it must not start")
