"""Submitting and following, against an API on loopback that is made of kfp-server-api's own models."""

import io
import json
import os
import signal
import ssl
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import kfp_server_api as api
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from rich.console import Console

from components.image import PIPELINE_IMAGE
from lockgate.cli.submit import INTERRUPTED, RUN_FAILED, Again, champion_of, pushed, watched
from lockgate.config import read_project
from lockgate.errors import ClusterError, ConfigError
from lockgate.steps.step import Settings
from lockgate.workspace import Workspace
from pipelines.documents import Compiled, compiled, training
from pipelines.endpoint import PAUSES, Endpoint, address
from pipelines.refusals import EndpointError
from pipelines.run_state import run_state
from pipelines.runners import pipeline_arguments
from pipelines.submission import Pace, check_source, cluster_workspace, follow, stop, submit
from pipelines.training import training_pipeline
from pipelines.workflow_size import check_arguments
from tests.conftest import change_project
from tests.pipelines.kfp_api import START, KfpApi, told

FIRST = ("collect", "validate", "transform", "tune", "train", "evaluate")
LAST = ("condition-1", "check-serving", "push")
FAST = Pace(shortest=0.0, longest=0.0, patience=3)
DONE = dict.fromkeys((*FIRST, *LAST), "SUCCEEDED")
REJECTED = dict.fromkeys(FIRST, "SUCCEEDED") | {"condition-1": "SKIPPED"}
BUCKET = "gs://bucket/penguins"


@pytest.fixture(scope="module")
def pipeline() -> Compiled:
    return training()


@pytest.fixture
def server():
    with KfpApi() as running:
        yield running


@pytest.fixture(scope="module")
def folder(example) -> Path:
    found = example("penguins", description="Which penguin is it?")
    change_project(found, {"cluster": {"workspace": BUCKET, "service_account": "lockgate-pipeline"}})
    return found


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in ("KFP_TOKEN", "KFP_ENDPOINT", "KF_PIPELINES_SA_TOKEN_PATH", "STORAGE_EMULATOR_HOST"):
        monkeypatch.delenv(name, raising=False)


def endpoint(server: KfpApi, namespace: str = "team") -> Endpoint:
    return Endpoint(server.url, namespace, sleep=lambda seconds: None).connect()


def submitted(server: KfpApi, folder: Path, pipeline: Compiled) -> tuple[Endpoint, str]:
    client = endpoint(server)
    return client, submit(client, read_project(folder), folder, Workspace(BUCKET), pipeline)


def shown(
    server: KfpApi, folder: Path, pipeline: Compiled, workspace: Workspace | None = None
) -> tuple[int, str]:
    """Submits and watches; the exit code and what the terminal shows."""
    client, run_id = submitted(server, folder, pipeline)
    console = Console(file=io.StringIO(), width=160)
    code = watched(console, client, Again(run_id, folder, server.url), pipeline, workspace, None, FAST)
    return code, console.file.getvalue()


def test_a_run_is_created_with_all_that_it_needs(server, folder, pipeline):
    _, run_id = submitted(server, folder, pipeline)
    run = server.runs[run_id][0]
    assert run.display_name.startswith("penguins-")
    assert run.experiment_id == server.experiments[0].experiment_id
    assert server.experiments[0].display_name == "penguins"
    assert run.service_account == "lockgate-pipeline"
    parameters = run.runtime_config.parameters
    assert parameters["workspace"] == BUCKET
    train = Settings.model_validate_json(parameters["train_settings"])
    assert train.project.name == "penguins"
    assert train.version


def test_where_a_run_is_submitted_is_none_of_the_steps_business(server, folder, pipeline):
    """A cache goes by the parameters: another endpoint must not train again."""
    _, run_id = submitted(server, folder, pipeline)
    settings = server.runs[run_id][0].runtime_config.parameters["train_settings"]
    cluster = json.loads(settings)["project"].get("cluster", {})
    assert not {"endpoint", "experiment", "service_account", "workspace"} & cluster.keys()


def test_on_this_machine_nothing_about_a_cluster_is_any_steps_business(folder, example, tmp_path):
    """Neither may a change of it make results look stale; the two folders differ in it alone."""
    plain = example("penguins", description="Which penguin is it?")
    with_cluster, without = (
        pipeline_arguments(read_project(where), where, Workspace(tmp_path)) for where in (folder, plain)
    )
    assert with_cluster == without
    remote = pipeline_arguments(read_project(folder), folder, Workspace(BUCKET))
    assert remote["workspace"] == BUCKET


def test_a_rollouts_rules_are_the_push_steps_business_alone(folder, example):
    """A changed limit trains nothing anew; what was written is known to be, also where it is the default."""
    limits = {"analysis": {"agreement": {"labels": 0.1}}}
    ruled = example("penguins", description="Which penguin is it?")
    change_project(ruled, {"cluster": {"workspace": BUCKET, "service_account": "lockgate-pipeline"}})
    change_project(ruled, {"rollout": limits})
    before, after = (
        pipeline_arguments(read_project(where), where, Workspace(BUCKET)) for where in (folder, ruled)
    )
    assert {name for name in before if before[name] != after[name]} == {"push_settings"}
    known = Settings.model_validate_json(after["push_settings"]).project.rollout
    assert known.analysis.agreement.model_fields_set == {"labels"}


def test_the_namespace_and_the_training_pods_are_known_to_the_train_step(server, example, pipeline):
    cluster = {"workspace": BUCKET, "namespace": "team", "training": {"cpu": "3"}}
    _, run_id = submitted(server, example("penguins", cluster=cluster), pipeline)
    parameters = server.runs[run_id][0].runtime_config.parameters
    known = Settings.model_validate_json(parameters["train_settings"]).project.cluster
    assert (known.namespace, known.training.cpu) == ("team", "3")


def test_a_source_that_is_a_function_is_collected_anew(server, folder, pipeline):
    _, run_id = submitted(server, folder, pipeline)
    tasks = server.runs[run_id][0].pipeline_spec["root"]["dag"]["tasks"]
    assert tasks["collect"]["cachingOptions"] == {}
    assert tasks["train"]["cachingOptions"] == {"enableCache": True}
    assert pipeline.pipeline["root"]["dag"]["tasks"]["collect"]["cachingOptions"] == {"enableCache": True}


def test_a_lost_pod_is_replaced_on_a_cluster_and_nothing_is_tried_again_here(server, folder, pipeline):
    """The local runner would try a closed gate three times."""
    _, run_id = submitted(server, folder, pipeline)
    tasks = dict(Compiled(server.runs[run_id][0].pipeline_spec, {}).tasks())
    assert {name for name, task in tasks.items() if "retryPolicy" not in task} == {"condition-1"}
    assert all(task["retryPolicy"]["maxRetryCount"] == 2 for task in tasks.values() if "retryPolicy" in task)
    assert "retryPolicy" not in compiled(training_pipeline)


def test_the_images_that_the_project_names_are_used_and_are_no_setting(server, example):
    pinned = "registry.example.org/trainer:1@sha256:" + "0" * 64
    folder = example("penguins", cluster={"workspace": BUCKET, "images": {"trainer": pinned}})
    _, run_id = submitted(server, folder, training(read_project(folder).cluster.images))
    run = server.runs[run_id][0]
    executors = run.pipeline_spec["deploymentSpec"]["executors"]
    used = {name: executor["container"]["image"] for name, executor in executors.items()}
    assert {name for name, image in used.items() if image == pinned} == {"exec-tune", "exec-train"}
    assert used["exec-collect"] == PIPELINE_IMAGE
    assert "registry.example.org" not in json.dumps(run.runtime_config.parameters)


def test_a_pipeline_with_a_fault_is_not_sent(server, example):
    folder = example("penguins", cluster={"workspace": BUCKET, "images": {"trainer": "lockgate/trainer"}})
    with pytest.raises(
        ConfigError, match=r"cannot be sent: error: lockgate/trainer has no fixed tag.*doctor"
    ):
        submitted(server, folder, training(read_project(folder).cluster.images))
    assert not server.runs
    assert not server.experiments


def test_a_happy_run_shows_every_step_once_and_its_verdict(server, folder, pipeline, tmp_path):
    server.script = [
        {"state": "PENDING"},
        told("RUNNING", {"collect": "RUNNING"}, ("PENDING", "RUNNING")),
        told("RUNNING", {"collect": "SUCCEEDED", "validate": "RUNNING"}),
        told(
            "RUNNING",
            dict.fromkeys(FIRST, "SUCCEEDED") | {"condition-1": "RUNNING", "check-serving": "RUNNING"},
        ),
        told("SUCCEEDED", DONE, cached=("collect",)),
    ]
    workspace = Workspace(tmp_path)
    workspace.crown("ab" * 32)
    code, text = shown(server, folder, pipeline, workspace)
    assert code == 0
    lines = [line.split() for line in text.splitlines() if line.strip().startswith(("✓", "↺"))]
    assert [line[1] for line in lines] == [
        "Collect", "Validate", "Transform", "Tune", "Train", "Evaluate", "Check", "Push",
    ]  # fmt: skip
    assert lines[1][2:4] == ["50.0", "s"]
    assert "condition" not in text
    assert "Pushed abababab" in text


def test_what_was_taken_from_the_cache_is_said(server, folder, pipeline):
    server.script = [told("SUCCEEDED", DONE, cached=("collect", "train"))]
    text = shown(server, folder, pipeline)[1]
    assert [line.split()[1] for line in text.splitlines() if "reused" in line] == ["Collect", "Train"]


def test_a_rejected_model_ends_well_and_is_said_to_be_rejected(server, folder, pipeline):
    server.script = [told("SUCCEEDED", REJECTED)]
    code, text = shown(server, folder, pipeline)
    assert code == 0
    assert "Not pushed: the model was rejected" in text


def test_a_run_of_whose_steps_nothing_is_told_is_not_called_rejected(server, folder, pipeline, tmp_path):
    server.script = [{"state": "SUCCEEDED"}]
    code, text = shown(server, folder, pipeline)
    assert code == 0
    assert "The run succeeded; the API does not tell" in text
    workspace = Workspace(tmp_path)
    workspace.crown("ab" * 32)
    assert "Pushed abababab" in shown(server, folder, pipeline, workspace)[1]


def test_a_failed_run_names_the_step_its_error_and_its_log(server, folder, pipeline):
    states = {"collect": "SUCCEEDED", "validate": "FAILED"}
    server.script = [told("FAILED", states, ("RUNNING", "FAILED"), error="main: exit code 1")]
    code, text = shown(server, folder, pipeline)
    assert code == RUN_FAILED
    assert "Validate the data failed: main: exit code 1" in text
    assert "kubectl logs lockgate-training-x-system-container-impl-validate -c main" in text


def test_without_names_and_error_text_the_failed_step_is_still_found(server, folder, pipeline):
    states = {"collect": "SUCCEEDED", "validate": "FAILED"}
    server.script = [told("FAILED", states, named=False)]
    code, text = shown(server, folder, pipeline)
    assert code == RUN_FAILED
    assert "Validate the data failed." in text
    assert "impl-validate" in text


def test_a_run_that_fails_before_any_step_says_what_the_backend_says(server, folder, pipeline):
    server.script = [
        {"state": "FAILED", "error": api.GoogleRpcStatus(message="workflow is too large", details=[])}
    ]
    code, text = shown(server, folder, pipeline)
    assert code == RUN_FAILED
    assert "The run failed: workflow is too large" in text


def test_a_run_that_was_stopped_is_not_called_failed(server, folder, pipeline):
    """A terminated run ends as FAILED; only its history tells."""
    server.script = [told("FAILED", {"collect": "FAILED"}, ("RUNNING", "CANCELING", "FAILED"))]
    code, text = shown(server, folder, pipeline)
    assert code == RUN_FAILED
    assert "was stopped before its end" in text
    assert "Collect the data failed" not in text


def test_stopping_reaches_the_run(server, folder, pipeline):
    client, run_id = submitted(server, folder, pipeline)
    stop(client, run_id)
    assert server.terminated == [run_id]


def test_an_unknown_run_is_said_to_be_unknown(server, pipeline):
    with pytest.raises(EndpointError, match="Run nowhere not found") as refused:
        list(follow(endpoint(server), "nowhere", pipeline, FAST))
    assert refused.value.status == 404


def test_following_goes_on_after_passing_failures(server, folder, pipeline):
    client, run_id = submitted(server, folder, pipeline)
    server.script = []
    server.faults.extend(("GET", f"runs/{run_id}", fault) for fault in (500, "drop", 503))
    states = list(follow(client, run_id, pipeline, FAST, sleep=lambda seconds: None))
    assert [state.state for state in states] == ["SUCCEEDED"]
    assert not server.faults


def test_following_ends_when_the_api_does_not_come_back(server, folder, pipeline):
    client, run_id = submitted(server, folder, pipeline)
    server.faults.extend(("GET", f"runs/{run_id}", 500) for _ in range(10))
    with pytest.raises(EndpointError, match="failed \\(500\\)"):
        list(follow(client, run_id, pipeline, FAST, sleep=lambda seconds: None))
    assert len(server.faults) == 10 - 1 - FAST.patience


def test_the_pause_grows_while_nothing_happens(server, folder, pipeline):
    server.script = [told("RUNNING", {"collect": "RUNNING"})] * 5 + [told("SUCCEEDED", DONE)]
    client, run_id = submitted(server, folder, pipeline)
    pauses: list[float] = []
    list(follow(client, run_id, pipeline, Pace(1.0, 3.0, 2.0), pauses.append))
    assert pauses == [1.0, 2.0, 3.0, 3.0, 3.0]


def test_an_experiment_is_reused(server, folder, pipeline):
    """It is on the second page of the list."""
    server.experiments = [
        api.V2beta1Experiment(experiment_id=f"e{n}", display_name=name, storage_state="AVAILABLE")
        for n, name in enumerate(("a", "b", "penguins"))
    ]
    _, run_id = submitted(server, folder, pipeline)
    assert server.runs[run_id][0].experiment_id == "e2"
    assert server.asked("POST", "experiments") == 0


def test_an_experiment_that_another_makes_meanwhile_is_reused(server, folder, pipeline, monkeypatch):
    """The list is empty, the creation conflicts, the second list has it."""
    theirs = api.V2beta1Experiment(experiment_id="theirs", display_name="penguins", storage_state="AVAILABLE")
    client = endpoint(server)
    create = client.experiments.experiment_service_create_experiment

    def late(*arguments, **more):
        server.experiments.append(theirs)
        return create(*arguments, **more)

    monkeypatch.setattr(client.experiments, "experiment_service_create_experiment", late)
    run_id = submit(client, read_project(folder), folder, Workspace(BUCKET), pipeline)
    assert server.runs[run_id][0].experiment_id == "theirs"


def test_an_archived_experiment_is_refused_with_advice(server, folder, pipeline):
    server.experiments = [
        api.V2beta1Experiment(experiment_id="e", display_name="penguins", storage_state="ARCHIVED")
    ]
    with pytest.raises(ClusterError, match=r"archived.*Restore it"):
        submitted(server, folder, pipeline)


def test_a_run_whose_answer_was_lost_is_not_started_twice(server, folder, pipeline):
    server.faults.append(("POST", "runs", "after"))
    _, run_id = submitted(server, folder, pipeline)
    assert list(server.runs) == [run_id]


def test_a_run_that_was_not_started_is_started_again(server, folder, pipeline):
    server.faults.extend([("POST", "runs", 500), ("POST", "runs", "drop")])
    _, run_id = submitted(server, folder, pipeline)
    assert list(server.runs) == [run_id]
    assert server.asked("POST", "runs") == 3


@pytest.mark.parametrize("multi_user", [False, True])
def test_the_namespace_goes_along_only_where_users_share_the_api(multi_user, folder, pipeline):
    with KfpApi(multi_user=multi_user) as server:
        submitted(server, folder, pipeline)
        assert server.experiments[0].namespace == ("team" if multi_user else None)


def test_without_a_token_it_is_said_where_one_comes_from(folder):
    with KfpApi(token="right") as server, pytest.raises(ClusterError) as refused:
        endpoint(server)
    assert "asks to log in (401), and no token was given" in refused.value.given
    assert "KFP_TOKEN" in refused.value.allowed


def test_a_wrong_token_is_told_from_none(monkeypatch):
    monkeypatch.setenv("KFP_TOKEN", "wrong")
    with (
        KfpApi(token="right") as server,
        pytest.raises(ClusterError, match="with the token that it was given"),
    ):
        endpoint(server)


def test_the_token_of_a_pod_is_read_anew_for_each_request(monkeypatch, tmp_path, folder, pipeline):
    file = tmp_path / "token"
    file.write_text("first\n")
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(file))
    with KfpApi(token="first") as server:
        client = endpoint(server)
        server.token = "second"
        file.write_text("second\n")
        assert submit(client, read_project(folder), folder, Workspace(BUCKET), pipeline)


@pytest.mark.parametrize(
    ("status", "words"), [(404, "does not know"), (403, "refuses"), (302, "asks to log in")]
)
def test_what_answers_but_is_no_usable_api_is_explained(server, status, words):
    server.faults.append(("GET", "healthz", status))
    with pytest.raises(ClusterError) as refused:
        endpoint(server)
    assert words in refused.value.given
    assert refused.value.next_step
    assert server.asked("GET", "healthz") == 1


def test_passing_failures_are_tried_again_and_lasting_ones_end(server):
    server.faults.extend([("GET", "healthz", 500), ("GET", "healthz", "drop")])
    assert not endpoint(server).is_shared
    server.faults.extend([("GET", "healthz", 502)] * 9)
    pauses: list[float] = []
    with pytest.raises(EndpointError, match="502"):
        Endpoint(server.url, "team", pauses.append).connect()
    assert tuple(pauses) == PAUSES


def test_where_nothing_listens_the_message_says_how_to_reach_it():
    with KfpApi() as gone:
        url = gone.url
    with pytest.raises(ClusterError, match=r"Nothing answers at.*refused.*port-forward"):
        Endpoint(url, "team", sleep=lambda seconds: None).connect()


def test_the_endpoint_comes_from_the_option_then_the_environment_then_the_project(monkeypatch):
    with pytest.raises(ClusterError, match=r"No Kubeflow Pipelines endpoint is configured.*lockgate run"):
        address(None, None)
    assert address(None, "http://project/") == "http://project"
    monkeypatch.setenv("KFP_ENDPOINT", "http://environment")
    assert address(None, "http://project") == "http://environment"
    assert address("https://option", "http://project") == "https://option"
    with pytest.raises(ClusterError, match=r"Write https://kfp\.example\.org"):
        address("kfp.example.org", None)


def test_a_workspace_of_this_machine_is_refused(folder):
    project = read_project(folder)
    with pytest.raises(ConfigError, match=r"'/data/w' is not in a bucket.*gs://bucket/path"):
        cluster_workspace(project, "/data/w")
    assert cluster_workspace(project, None).address == BUCKET
    assert cluster_workspace(project, "gs://other/x").address == "gs://other/x"


def test_a_source_of_this_machine_is_refused(example):
    folder = example("penguins", **{"data.source": "penguins.csv"})
    with pytest.raises(ConfigError, match=r"penguins\.csv.*Copy the data into a bucket"):
        check_source(read_project(folder))


def test_parameters_that_no_driver_can_take_are_refused():
    check_arguments({"workspace": BUCKET, "validate_settings": "x" * 100_000})
    with pytest.raises(ConfigError, match="140,000 of them validate_settings"):
        check_arguments({"workspace": BUCKET, "validate_settings": "x" * 140_000})


def test_what_a_push_step_did_is_read_from_the_workspace(tmp_path):
    workspace = Workspace(tmp_path)
    assert "serving gate's page" in pushed(workspace, None)
    workspace.crown("cd" * 32)
    assert pushed(workspace, None) == "Pushed cdcdcdcd"
    assert "still the champion" in pushed(workspace, "cd" * 32)


def test_a_bucket_that_does_not_answer_holds_nobody_up(monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:1")
    assert champion_of(Workspace("gs://nowhere/x"), seconds=0.2) is None


def test_a_run_of_which_nothing_is_told_has_no_state():
    state = run_state(api.V2beta1Run(run_id="r"), {"collect": "Collect"}, START)
    assert (state.state, state.tasks, state.is_over) == ("RUNTIME_STATE_UNSPECIFIED", (), False)


def test_the_command_line_submits_and_follows(folder, lockgate, monkeypatch):
    with KfpApi() as server:
        server.script = [told("RUNNING", {"collect": "RUNNING"}), told("SUCCEEDED", REJECTED)]
        monkeypatch.setenv("KFP_ENDPOINT", server.url)
        done = lockgate("submit", folder, "--no-cache")
        tasks = dict(Compiled(server.runs["run-0"][0].pipeline_spec, {}).tasks())
    assert not any(task.get("cachingOptions") for task in tasks.values())
    assert done.returncode == 0, done.stderr
    assert f"{server.url}/#/runs/details/run-0" in done.stdout
    assert "Not pushed: the model was rejected" in done.stdout


def test_the_command_line_without_an_endpoint_says_what_is_missing(folder, lockgate):
    done = lockgate("submit", folder)
    assert done.returncode == ClusterError.exit_code
    assert "No Kubeflow Pipelines endpoint is configured" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_leaves_the_run_and_says_how_to_go_on(folder):
    with KfpApi() as server:
        server.script = [told("RUNNING", {"collect": "SUCCEEDED", "validate": "RUNNING"})]
        program = [str(Path(sys.executable).parent / "lockgate"), "submit", str(folder)]
        running = subprocess.Popen(
            [*program, "--endpoint", server.url],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "COLUMNS": "200"},
        )
        assert any("Collect" in line for line in running.stdout)
        running.send_signal(signal.SIGINT)
        rest, _ = running.communicate(timeout=30)
        assert running.returncode == INTERRUPTED
        assert "the run goes on" in rest
        assert f"lockgate pipeline follow run-0 {folder} --endpoint {server.url}" in rest
        assert server.terminated == []


def test_the_api_of_these_tests_refuses_a_misspelt_field(server):
    client = endpoint(server)
    with pytest.raises(EndpointError, match=r"V2beta1Run has no \['displayName'\]"):
        client.tell(client.runs.run_service_create_run, {"displayName": "x"})


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    shape = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(key.private_bytes(*shape))
    (folder / "certificate.pem").write_bytes(built.public_bytes(serialization.Encoding.PEM))
    return folder / "certificate.pem", folder / "key.pem"


def test_an_unknown_certificate_is_refused_until_its_authority_is_named(tmp_path, monkeypatch):
    public, private = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    server = KfpApi()
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with server:
        url = server.url.replace("http:", "https:")
        with pytest.raises(ClusterError, match=r"certificate that cannot be checked.*SSL_CERT_FILE"):
            Endpoint(url, "team", sleep=lambda seconds: None).connect()
        monkeypatch.setenv("SSL_CERT_FILE", str(public))
        assert not Endpoint(url, "team").connect().is_shared
