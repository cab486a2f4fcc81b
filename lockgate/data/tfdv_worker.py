"""Runs in the Python that has TensorFlow Data Validation, which may not be Lockgate's: only protos cross.

Usage: python tfdv_worker.py REQUESTS.json [--public-api]

REQUESTS.json is a list of objects; paths are of serialised protos of tensorflow_metadata:
  {"do": "infer", "dataset": path, "domain": 100, "output": path of the schema}
  {"do": "update", "dataset": path, "schema": path, "domain": 100, "output": path of the schema}
  {"do": "validate", "dataset": path, "schema": path, "output": path of the anomalies}

TFDV's Python package imports Apache Beam and TensorFlow: 5 s of CPU. All that is needed here lies in its
compiled part, which needs neither (20 ms), so that is loaded by itself. Where its functions are not as
they are in TFDV 1.16 and 1.21, and with --public-api, the package's public functions are called instead.
This file imports nothing of Lockgate and nothing that TFDV's environment may lack.
"""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

MODULE = "tensorflow_data_validation.pywrap.tensorflow_data_validation_extension"


def main(requests_path: str, public_api: bool) -> None:
    """Answers the requests one after the other."""
    requests = json.loads(Path(requests_path).read_text())
    functions = None if public_api else compiled_functions()
    for request in requests:
        inputs = {name: Path(request[name]).read_bytes() for name in ("dataset", "schema") if name in request}
        if functions is None:
            result = by_public_api(request, inputs)
        else:
            try:
                result = by_compiled_part(functions, request, inputs)
            except (AttributeError, TypeError):
                result = by_public_api(request, inputs)
        Path(request["output"]).write_bytes(result)


def compiled_functions() -> Any:
    """The functions of TFDV's compiled part, or None where it cannot be loaded by itself."""
    package = importlib.util.find_spec("tensorflow_data_validation")
    if package is None or not package.submodule_search_locations:
        sys.exit("This Python has no tensorflow_data_validation.")
    folder = Path(package.submodule_search_locations[0]) / "pywrap"
    files = sorted(folder.glob("tensorflow_data_validation_extension*.so"))
    try:
        spec: Any = importlib.util.spec_from_file_location(MODULE, files[0])
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.validation
    except (ImportError, IndexError, AttributeError):
        return None


def by_compiled_part(functions: Any, request: "dict[str, Any]", inputs: "dict[str, bytes]") -> bytes:
    """The answer, as a serialised proto."""
    if request["do"] == "infer":
        return bytes(functions.InferSchema(inputs["dataset"], request["domain"], True))
    if request["do"] == "update":
        return bytes(functions.UpdateSchema(inputs["schema"], inputs["dataset"], request["domain"]))
    empty = (b"",) * 6
    return bytes(functions.ValidateFeatureStatistics(inputs["dataset"], inputs["schema"], *empty, False))


def by_public_api(request: "dict[str, Any]", inputs: "dict[str, bytes]") -> bytes:
    """The same answer, by the functions that TFDV documents."""
    import tensorflow_data_validation as tfdv  # type: ignore[import-not-found,unused-ignore]
    from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

    statistics = statistics_pb2.DatasetFeatureStatisticsList()
    statistics.datasets.add().ParseFromString(inputs["dataset"])
    if request["do"] == "infer":
        result = tfdv.infer_schema(statistics, max_string_domain_size=request["domain"])
    else:
        schema = schema_pb2.Schema.FromString(inputs["schema"])
        if request["do"] == "update":
            result = tfdv.update_schema(schema, statistics, max_string_domain_size=request["domain"])
        else:
            result = tfdv.validate_statistics(statistics, schema)
    return bytes(result.SerializeToString())


if __name__ == "__main__":
    main(sys.argv[1], "--public-api" in sys.argv[2:])
