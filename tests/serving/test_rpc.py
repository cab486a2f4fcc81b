"""V2 over gRPC gives HTTP's answers and HTTP's refusals, on loopback, and cannot unload the model."""

import re

import grpc
import httpx
import numpy as np
import psutil
import pytest
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from serving.runtime.room import LARGE_BYTES
from serving.runtime.rpc import AT_ONCE

ROW = {"distance": 500, "carrier": "UA", "Zeit é": 1380604500}
FIELDS = {
    "distance": ("FP32", "fp32_contents"),
    "carrier": ("BYTES", "bytes_contents"),
    "Zeit é": ("INT64", "int64_contents"),
}
FLOATS = {"datatype": "FP32", "contents": {"fp32_contents": [1, 2]}}
MISSING = -(2**63)


@pytest.fixture(scope="module")
def server(exported, serve, tmp_path_factory):
    log = tmp_path_factory.mktemp("rpc") / "log"
    with serve(exported(), log, "--drain", "0", "--grpc-port", "0", "--max-rows", "50") as server:
        yield server


@pytest.fixture(scope="module")
def stub(server):
    port = re.search(r"gRPC listens on 127\.0\.0\.1:(\d+)", server.log.read_text())[1]
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield GRPCInferenceServiceStub(channel)


def request(columns, model="tiny", **changes):
    inputs = []
    for name, values in columns.items():
        datatype, field = FIELDS[name]
        tensor = {"name": name, "shape": [len(values)], "datatype": datatype, "contents": {field: values}}
        inputs.append(tensor | changes.get(name, {}))
    return pb.ModelInferRequest(model_name=model, inputs=inputs)


GOOD = {"distance": [500.0, float("nan")], "carrier": [b"UA", b""], "Zeit é": [1380604500, MISSING]}


@pytest.fixture
def wanted(server):
    body = {"instances": [ROW, dict.fromkeys(ROW)]}
    answer = httpx.post(f"{server.url}/v1/models/tiny:predict", json=body, trust_env=False)
    return [p["probability"] for p in answer.json()["predictions"]]


def refused(stub, given):
    with pytest.raises(grpc.RpcError) as error:
        stub.ModelInfer(given, timeout=20)
    return error.value.code(), error.value.details()


def test_it_answers_like_http(stub, wanted):
    answer = stub.ModelInfer(request(GOOD), timeout=20)
    outputs = {o.name: o for o in answer.outputs}
    assert list(outputs) == ["probability", "label", "decision"]
    assert list(outputs["probability"].contents.fp32_contents) == pytest.approx(wanted, rel=1e-6)
    assert outputs["label"].contents.bytes_contents[0] in (b"true", b"false")


def test_large_messages_are_answered_beside_the_loop_and_larger_ones_not_read(stub):
    long = {**GOOD, "carrier": [b"x" * 40_000, b"x" * 40_000]}
    given = request(long)
    assert given.ByteSize() > LARGE_BYTES
    small = request({name: values[:1] for name, values in long.items()})
    assert small.ByteSize() < LARGE_BYTES
    large, first = (stub.ModelInfer(each, timeout=20).outputs[0].contents for each in (given, small))
    assert len(large.fp32_contents) == 2
    assert large.fp32_contents[0] == pytest.approx(first.fp32_contents[0], rel=1e-6)
    code, words = refused(stub, request({**long, "distance": [1.0]}))
    assert (code, "same number of rows" in words) == (grpc.StatusCode.INVALID_ARGUMENT, True)
    too_large = request({**GOOD, "carrier": [b"x" * (8 << 20), b""]})
    assert refused(stub, too_large)[0] == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_more_requests_than_are_read_at_once_wait_for_their_turn(stub, wanted):
    asked = [stub.ModelInfer.future(request(GOOD), timeout=60) for _ in range(4 * AT_ONCE)]
    for each in asked:
        assert list(each.result().outputs[0].contents.fp32_contents) == pytest.approx(wanted, rel=1e-6)


def test_outputs_are_chosen_by_name(stub):
    given = request(GOOD)
    given.outputs.add(name="label")
    assert [o.name for o in stub.ModelInfer(given, timeout=20).outputs] == ["label"]
    given.outputs.add(name="odds")
    code, words = refused(stub, given)
    assert (code, "'odds'" in words) == (grpc.StatusCode.INVALID_ARGUMENT, True)


def test_raw_tensors_are_read(stub, wanted):
    texts = b"".join(len(t).to_bytes(4, "little") + t for t in GOOD["carrier"])
    raw = [np.array(GOOD["distance"], "<f4").tobytes(), texts, np.array(GOOD["Zeit é"], "<i8").tobytes()]
    given = request(GOOD)
    for each in given.inputs:
        each.ClearField("contents")
    given.raw_input_contents.extend(raw)
    answer = stub.ModelInfer(given, timeout=20)
    assert np.frombuffer(answer.raw_output_contents[0], "<f4").tolist() == pytest.approx(wanted, rel=1e-6)
    texts = answer.raw_output_contents[1]
    assert texts[4 : 4 + texts[0]] in (b"true", b"false")
    assert len(answer.raw_output_contents[2]) == 2
    del given.raw_input_contents[0]
    given.raw_input_contents.insert(0, raw[0][:5])
    code, words = refused(stub, given)
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert "'distance'" in words


@pytest.mark.parametrize(
    ("columns", "changes", "words"),
    [
        ({**GOOD, "distance": [1.0, float("inf")]}, {}, "Column 'distance' of row 1 is infinite"),
        ({**GOOD, "Zeit é": [1380604500000, 1]}, {}, "Column 'Zeit é' of row 0"),
        ({**GOOD, "carrier": [b"\xff", b""]}, {}, "'carrier' holds bytes that are no UTF-8"),
        ({**GOOD, "distance": [1.0]}, {}, "all columns have the same number of rows"),
        (GOOD, {"carrier": FLOATS}, "Column 'carrier' has the datatype"),
        (GOOD, {"carrier": {"name": "carier"}}, "Did you mean 'carrier'?"),
        (GOOD, {"carrier": {"datatype": "TEXT"}}, "invalid content type"),
        ({"distance": [1.0]}, {}, "no column 'carrier'"),
        ({}, {}, "no inputs"),
        ({n: v * 26 for n, v in GOOD.items()}, {}, "1 to 50 rows"),
    ],
)  # fmt: skip
def test_what_is_not_allowed_is_an_invalid_argument_with_the_columns_name(stub, columns, changes, words):
    code, said = refused(stub, request(columns, **changes))
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert words.lower() in said.lower()


def test_a_failing_model_is_an_internal_error_without_payload_in_the_log(stub, server):
    given = request({**GOOD, "carrier": [b"poison", b"UA"]})
    with pytest.raises(grpc.RpcError) as error:
        stub.ModelInfer(given, timeout=20, metadata=(("x-request-id", "rpc-7"),))
    assert error.value.code() == grpc.StatusCode.INTERNAL
    assert dict(error.value.trailing_metadata())["x-request-id"] == "rpc-7"
    log = server.log.read_text()
    assert "request rpc-7 failed: ArithmeticError" in log
    assert "poison" not in log


def test_an_unknown_model_is_not_found(stub):
    assert refused(stub, request(GOOD, model="other"))[0] == grpc.StatusCode.NOT_FOUND


def test_health_and_metadata(stub):
    assert stub.ServerLive(pb.ServerLiveRequest(), timeout=20).live
    assert stub.ServerReady(pb.ServerReadyRequest(), timeout=20).ready
    assert stub.ModelReady(pb.ModelReadyRequest(name="tiny"), timeout=20).ready
    assert not stub.ModelReady(pb.ModelReadyRequest(name="other"), timeout=20).ready
    inputs = stub.ModelMetadata(pb.ModelMetadataRequest(name="tiny"), timeout=20).inputs
    assert [i.name for i in inputs] == list(ROW)


def test_nobody_can_unload_the_model(stub):
    with pytest.raises(grpc.RpcError) as error:
        stub.RepositoryModelUnload(pb.RepositoryModelUnloadRequest(model_name="tiny"), timeout=20)
    assert error.value.code() == grpc.StatusCode.PERMISSION_DENIED
    assert stub.ModelInfer(request(GOOD), timeout=20).outputs


def test_it_listens_on_loopback_alone_and_is_counted(stub, server):
    stub.ModelInfer(request(GOOD), timeout=20)
    listening = [c for c in psutil.Process(server.process.pid).connections("inet") if c.status == "LISTEN"]
    assert {c.laddr.ip.removeprefix("::ffff:") for c in listening} == {"127.0.0.1"}
    assert len(listening) == 2
    counted = httpx.get(f"{server.url}/metrics", trust_env=False).text
    assert re.search(r'lockgate_requests_total\{code="OK",protocol="grpc"\} [1-9]', counted)
    assert re.search(r'lockgate_requests_total\{code="INVALID_ARGUMENT",protocol="grpc"\} [1-9]', counted)
