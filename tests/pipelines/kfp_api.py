"""A Kubeflow Pipelines API on loopback whose every word is one of kfp-server-api's own models.

Requests are read strictly: a key that the model does not have, at any depth, is answered with 400, as the
backend does. What it tells of a run is of the shape that the backend of 2.17 tells: a task's driver, the task
and its executor one by one, the last under its parent alone.
"""

import json
import re
import threading
from collections import deque
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kfp_server_api as api

PLAIN = ("str", "int", "bool", "float", "object", "datetime")
START = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
CLIENT = api.ApiClient()
PAGE = 2


class Malformed(Exception):
    """A request that the backend would refuse."""


def read(value: Any, kind: str) -> Any:
    """JSON as a model; every key must be known to it."""
    if value is None or kind in PLAIN:
        expected = {"str": str, "int": int, "bool": bool}.get(kind, object)
        if value is not None and not isinstance(value, expected):
            raise Malformed(f"{value!r} is no {kind}")
        return value
    if inner := re.fullmatch(r"list\[(.*)\]", kind):
        return [read(each, inner[1]) for each in value]
    if inner := re.fullmatch(r"dict\(str, (.*)\)", kind):
        return {key: read(each, inner[1]) for key, each in value.items()}
    model = getattr(api, kind)
    if not model.openapi_types:  # an enumeration
        if value not in {getattr(model, name) for name in dir(model) if name.isupper()}:
            raise Malformed(f"{value!r} is no {kind}")
        return value
    keys = {key: attribute for attribute, key in model.attribute_map.items()}
    if unknown := value.keys() - keys.keys():
        raise Malformed(f"{kind} has no {sorted(unknown)}")
    return model(**{keys[key]: read(each, model.openapi_types[keys[key]]) for key, each in value.items()})


class KfpApi(ThreadingHTTPServer):
    """The API. `faults` are statuses for the next requests that match, "drop" breaks the connection.

    `scripts` are the states that runs go through, one a look; `requests` is all that was asked.
    """

    daemon_threads = True

    def __init__(self, *, multi_user: bool = False, token: str | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.multi_user, self.token = multi_user, token
        self.faults: deque[tuple[str, str, int | str]] = deque()
        self.experiments: list[api.V2beta1Experiment] = []
        self.runs: dict[str, deque[api.V2beta1Run]] = {}
        self.recurring: list[api.V2beta1RecurringRun] = []
        self.script: list[dict[str, Any]] = [{"state": "SUCCEEDED"}]
        self.requests: list[tuple[str, str]] = []
        self.terminated: list[str] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def asked(self, method: str, path: str) -> int:
        """How often something was asked."""
        return self.requests.count((method, f"/apis/v2beta1/{path}"))

    def __enter__(self) -> "KfpApi":
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    """Answers one connection's requests."""

    protocol_version = "HTTP/1.1"
    server: KfpApi

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        path = urlsplit(self.path).path
        query = {key: values[0] for key, values in parse_qs(urlsplit(self.path).query).items()}
        with self.server.lock:
            self.server.requests.append((self.command, path))
            fault = self._fault(path)
            if fault == "drop":
                self.close_connection = True
                return
            if fault == "after":  # it does what it was asked, and then the answer is lost
                self._route(path, query, body)
                self.close_connection = True
                return
            if isinstance(fault, int):
                self._send(fault, problem(fault, "the script says so"))
                return
            if self.server.token and self.headers.get("authorization") != f"Bearer {self.server.token}":
                self._send(401, problem(16, "Failed to authenticate the user: no valid token"))
                return
            try:
                status, answer = self._route(path, query, body)
            except Malformed as error:
                status, answer = 400, problem(3, f"Invalid input error: {error}")
        self._send(status, CLIENT.sanitize_for_serialization(answer))

    def _fault(self, path: str) -> int | str | None:
        if self.server.faults and self.server.faults[0][:2] == (
            self.command,
            path.removeprefix("/apis/v2beta1/"),
        ):
            return self.server.faults.popleft()[2]
        return None

    def _send(self, status: int, answer: Any) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _route(self, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        for method, pattern, answer in ROUTES:
            if method == self.command and (found := re.fullmatch(f"/apis/v2beta1/{pattern}", path)):
                return answer(self.server, query, body, *found.groups())
        return 404, problem(5, "Not Found")


def problem(code: int, message: str) -> dict[str, Any]:
    """A refusal as the gateway before the API words it."""
    return {"error": message, "code": code, "message": message, "details": []}


def healthz(server: KfpApi, query: dict[str, str], body: Any) -> tuple[int, Any]:
    return 200, api.V2beta1GetHealthzResponse(multi_user=server.multi_user, pipeline_store="database")


def list_experiments(server: KfpApi, query: dict[str, str], body: Any) -> tuple[int, Any]:
    check_namespace(server, query.get("namespace"))
    items, token = page([e for e in server.experiments if matches(e, query)], query)
    return 200, api.V2beta1ListExperimentsResponse(
        experiments=items, total_size=len(items), next_page_token=token
    )


def create_experiment(server: KfpApi, query: dict[str, str], body: Any) -> tuple[int, Any]:
    made = read(body, "V2beta1Experiment")
    check_namespace(server, made.namespace)
    if any(e.display_name == made.display_name for e in server.experiments):
        return 409, problem(6, f"Already exist error: The name {made.display_name} already exists")
    made.experiment_id, made.storage_state = f"e{len(server.experiments)}", "AVAILABLE"
    server.experiments.append(made)
    return 200, made


def create_run(server: KfpApi, query: dict[str, str], body: Any) -> tuple[int, Any]:
    made = read(body, "V2beta1Run")
    check_pipeline(made)
    if made.experiment_id not in {e.experiment_id for e in server.experiments}:
        return 404, problem(5, "ResourceNotFoundError: Experiment not found")
    made.run_id = f"run-{len(server.runs)}"
    server.runs[made.run_id] = deque(run_at(made, step) for step in server.script)
    return 200, made


def run_at(made: api.V2beta1Run, step: dict[str, Any]) -> api.V2beta1Run:
    """The run at one step of its script."""
    return api.V2beta1Run(
        run_id=made.run_id,
        display_name=made.display_name,
        experiment_id=made.experiment_id,
        pipeline_spec=made.pipeline_spec,
        runtime_config=made.runtime_config,
        service_account=made.service_account,
        created_at=START,
        **step,
    )


def get_run(server: KfpApi, query: dict[str, str], body: Any, run_id: str) -> tuple[int, Any]:
    if run_id not in server.runs:
        return 404, problem(5, f"ResourceNotFoundError: Run {run_id} not found.")
    states = server.runs[run_id]
    return 200, states.popleft() if len(states) > 1 else states[0]


def list_runs(server: KfpApi, query: dict[str, str], body: Any) -> tuple[int, Any]:
    items, token = page([s[0] for s in server.runs.values() if matches(s[0], query)], query)
    return 200, api.V2beta1ListRunsResponse(runs=items, total_size=len(items), next_page_token=token)


def terminate_run(server: KfpApi, query: dict[str, str], body: Any, run_id: str) -> tuple[int, Any]:
    if run_id not in server.runs:
        return 404, problem(5, f"ResourceNotFoundError: Run {run_id} not found.")
    server.terminated.append(run_id)
    return 200, {}


def list_recurring(server: KfpApi, query: dict[str, str], body: Any) -> tuple[int, Any]:
    check_namespace(server, query.get("namespace"))
    items, token = page([r for r in server.recurring if matches(r, query)], query)
    return 200, api.V2beta1ListRecurringRunsResponse(
        recurring_runs=items, total_size=len(items), next_page_token=token
    )


def create_recurring(server: KfpApi, query: dict[str, str], body: Any) -> tuple[int, Any]:
    made = read(body, "V2beta1RecurringRun")
    check_pipeline(made)
    if not 1 <= int(made.max_concurrency) <= 10:
        raise Malformed("The max concurrency of the recurring run must be between 1 and 10")
    if len(made.trigger.cron_schedule.cron.split()) != 6:
        raise Malformed("Schedule cron is not a supported format")
    made.recurring_run_id = f"r{len(server.requests)}"
    made.status = "ENABLED" if made.mode == "ENABLE" else "DISABLED"
    server.recurring.append(made)
    return 200, made


def delete_recurring(server: KfpApi, query: dict[str, str], body: Any, run_id: str) -> tuple[int, Any]:
    before = len(server.recurring)
    server.recurring = [r for r in server.recurring if r.recurring_run_id != run_id]
    return (200, {}) if len(server.recurring) < before else (404, problem(5, "not found"))


ROUTES = (
    ("GET", "healthz", healthz),
    ("GET", "experiments", list_experiments),
    ("POST", "experiments", create_experiment),
    ("POST", "runs", create_run),
    ("GET", "runs", list_runs),
    ("GET", "runs/([^/:]+)", get_run),
    ("POST", "runs/([^/:]+):terminate", terminate_run),
    ("GET", "recurringruns", list_recurring),
    ("POST", "recurringruns", create_recurring),
    ("DELETE", "recurringruns/([^/:]+)", delete_recurring),
)


def check_namespace(server: KfpApi, namespace: str | None) -> None:
    """A shared installation wants a namespace, one of a single user refuses it."""
    if server.multi_user and not namespace:
        raise Malformed("In multi-user mode, a namespace must be specified")
    if namespace and not server.multi_user:
        raise Malformed("In single-user mode, the namespace must be empty")


def check_pipeline(made: Any) -> None:
    """What the backend does before anything else: a spec that it can read, all parameters given."""
    from google.protobuf import json_format
    from kfp.pipeline_spec import pipeline_spec_pb2

    spec = made.pipeline_spec.get("pipeline_spec", made.pipeline_spec)
    json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    wanted = spec["root"]["inputDefinitions"]["parameters"]
    given = made.runtime_config.parameters
    missing = [n for n, p in wanted.items() if n not in given and not p.get("isOptional")]
    if missing or given.keys() - wanted.keys():
        raise Malformed(f"parameters missing {missing}, not known {given.keys() - wanted.keys()}")


def matches(item: Any, query: dict[str, str]) -> bool:
    """Whether an item is in the experiment and passes the filter of a list request."""
    if query.get("experiment_id", item.experiment_id) != item.experiment_id:
        return False
    if "filter" not in query:
        return True
    predicates = read(json.loads(query["filter"]), "V2beta1Filter").predicates
    assert all(p.operation == "EQUALS" for p in predicates)
    return all(getattr(item, p.key) == p.string_value for p in predicates)


def page(items: list[Any], query: dict[str, str]) -> tuple[list[Any], str]:
    """A page of at most two items, and the token of the next."""
    first = int(query.get("page_token") or 0)
    size = min(int(query.get("page_size") or PAGE), PAGE)
    return items[first : first + size], str(first + size) if first + size < len(items) else ""


def details(
    states: dict[str, str], *, named: bool = True, error: str = "", cached: tuple[str, ...] = ()
) -> list[Any]:
    """What the backend tells of tasks: three entries a task, the executor's without a name, or named so.

    The executor leads on to the next task's driver, as Argo's nodes do.
    """
    found = [detail("root-driver", "SUCCEEDED", 0, [])]
    names = list(states)
    for place, (name, state) in enumerate(states.items()):
        after = [f"{names[place + 1]}-driver"] if place + 1 < len(names) else []
        start = 10 + place * 60
        found.append(detail(f"{name}-driver", "SUCCEEDED", start, [name]))
        if name.startswith("condition"):
            found.append(detail(name, state, start + 6, after))
            continue
        if state == "PENDING":
            continue
        found.append(detail(name, state, start + 6, [f"{name}-executor"]))
        executor = detail(f"{name}-executor", "SKIPPED" if name in cached else state, start + 6, after)
        executor.display_name = "executor" if named else None
        executor.pod_name = f"lockgate-training-x-system-container-impl-{name}"
        if state == "FAILED" and error:
            executor.error = api.GoogleRpcStatus(code=2, message=error, details=[])
        found.append(executor)
    return found


def detail(name: str, state: str, second: int, children: list[str]) -> api.V2beta1PipelineTaskDetail:
    """One entry."""
    start = START + timedelta(seconds=second)
    return api.V2beta1PipelineTaskDetail(
        run_id="run-0",
        task_id=f"id-{name}",
        display_name=name,
        create_time=start,
        start_time=start,
        end_time=start + timedelta(seconds=44) if state in ("SUCCEEDED", "FAILED", "SKIPPED") else None,
        state=state,
        child_tasks=[api.PipelineTaskDetailChildTask(task_id=f"id-{child}") for child in children],
    )


def told(state: str, states: dict[str, str], history: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """A step of a run's script."""
    return {
        "state": state,
        "run_details": api.V2beta1RunDetails(task_details=details(states, **more)),
        "state_history": [api.V2beta1RuntimeStatus(update_time=START, state=each) for each in history],
    }
