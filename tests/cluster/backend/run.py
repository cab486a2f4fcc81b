"""A stand-in for KFP's backend: runs a compiled pipeline's tasks as pods, in dependency order.

Only what Lockgate's pipelines use: a flat DAG, groups under a condition on one boolean, artifacts and
parameters of earlier tasks, constants. Each pod runs the component's own command from its own image, with
KFP's executor input in place of `{{$}}`; `launch.py` moves the artifacts, as KFP's launcher does.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cluster.kube import Kubectl, wait_for

LAUNCHER = Path(__file__).with_name("launch.py")
OUTPUT_FILE = "/tmp/kfp/output_metadata.json"
CONDITION = re.compile(r"inputs\.parameter_values\['([^']+)'\] == (true|false)")
SCRATCH = ("/tmp", "/gcs")
Values = dict[str, Any]


@dataclass
class Run:
    """One run of a compiled pipeline.

    Args:
        spec: the pipeline as compiled.
        root: gs://…, where the run's artifacts go.
        environment: of every pod, such as STORAGE_EMULATOR_HOST.

    `states` tells how each task ended: Succeeded, Failed, Skipped or Cached; `uris` where its artifacts
    are, `values` what it returned. Like KFP it takes the results of `earlier` for a task that may be
    cached and has the same command, image and inputs as then.
    """

    kubectl: Kubectl
    namespace: str
    spec: Mapping[str, Any]
    root: str
    environment: Mapping[str, str]
    seconds: float = 300
    service_account: str = "lockgate-pipeline"
    earlier: "Run | None" = None
    states: dict[str, str] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    uris: dict[str, dict[str, str]] = field(default_factory=dict)
    values: dict[str, Values] = field(default_factory=dict)

    def start(self, arguments: Mapping[str, str]) -> None:
        """Runs every task to its end; stops at the first that fails.

        Raises:
            TaskFailed: a task's pod failed; the words are the end of its log.
        """
        config = {"launch.py": LAUNCHER.read_text()}
        launcher = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "launcher"},
            "data": config,
        }
        self.kubectl.apply(launcher, namespace=self.namespace)
        self._dag(self.spec["root"]["dag"]["tasks"], dict(arguments), {})

    def _dag(self, tasks: Mapping[str, Any], parameters: Values, artifacts: dict[str, str]) -> None:
        for name in in_order(tasks):
            task = tasks[name]
            given = self._parameters(task, parameters)
            used = self._artifacts(task, artifacts)
            component = self.spec["components"][task["componentRef"]["name"]]
            if "dag" not in component:
                is_cacheable = task.get("cachingOptions", {}).get("enableCache", False)
                self.keys[name] = json.dumps([component, self._container(component), given, used])
                if not (is_cacheable and self._take(name)):
                    self._task(name, component, given, used)
            elif is_open(task["triggerPolicy"]["condition"], given):
                self._dag(component["dag"]["tasks"], given, used)
            else:
                self.states.update(dict.fromkeys(component["dag"]["tasks"], "Skipped"))

    def _container(self, component: Mapping[str, Any]) -> Values:
        return self.spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]

    def _take(self, name: str) -> bool:
        if self.earlier is None or self.earlier.keys.get(name) != self.keys[name]:
            return False
        self.states[name] = "Cached"
        self.uris[name], self.values[name] = self.earlier.uris[name], self.earlier.values[name]
        return True

    def _parameters(self, task: Mapping[str, Any], parameters: Values) -> Values:
        found = {}
        for name, source in task.get("inputs", {}).get("parameters", {}).items():
            match source:
                case {"componentInputParameter": outer}:
                    found[name] = parameters[outer]
                case {"taskOutputParameter": {"producerTask": producer, "outputParameterKey": key}}:
                    found[name] = self.values[producer][key]
                case {"runtimeValue": {"constant": constant}}:
                    found[name] = constant
                case _:
                    raise ValueError(f"an input of a form that Lockgate does not use: {source}")
        return found

    def _artifacts(self, task: Mapping[str, Any], artifacts: dict[str, str]) -> dict[str, str]:
        found = {}
        for name, source in task.get("inputs", {}).get("artifacts", {}).items():
            match source:
                case {"componentInputArtifact": outer}:
                    found[name] = artifacts[outer]
                case {"taskOutputArtifact": {"producerTask": producer, "outputArtifactKey": key}}:
                    found[name] = self.uris[producer][key]
                case _:
                    raise ValueError(f"an input of a form that Lockgate does not use: {source}")
        return found

    def _task(self, name: str, component: Mapping[str, Any], given: Values, used: dict[str, str]) -> None:
        outputs = component.get("outputDefinitions", {})
        made = {key: f"{self.root}/{name}/{key}" for key in outputs.get("artifacts", {})}
        executor_input = {
            "inputs": {
                "parameterValues": given,
                "artifacts": described(used, component["inputDefinitions"].get("artifacts", {})),
            },
            "outputs": {
                "outputFile": OUTPUT_FILE,
                "parameters": {
                    key: {"outputFile": f"/tmp/kfp/{key}"} for key in outputs.get("parameters", {})
                },
                "artifacts": described(made, outputs.get("artifacts", {})),
            },
        }
        pod = self.pod(name, self._container(component), json.dumps(executor_input))
        self.kubectl.apply(pod, namespace=self.namespace)
        ended = wait_for(lambda: self._ended(pod["metadata"]["name"]), self.seconds, f"the end of {name}")
        self.states[name] = ended["phase"]
        if ended["phase"] != "Succeeded":
            log = self.log(name)
            raise TaskFailed(name, log[-4000:] or json.dumps(ended))
        message = ended["containerStatuses"][0]["state"]["terminated"].get("message", "{}")
        self.uris[name], self.values[name] = made, json.loads(message)

    def _ended(self, pod: str) -> Values | None:
        status = self.kubectl.get("pod", pod, namespace=self.namespace)["status"]
        return status if status.get("phase") in ("Succeeded", "Failed") else None

    def log(self, task: str) -> str:
        """What the task's pod printed."""
        return self.kubectl("logs", f"{self.label}-{task}", "-n", self.namespace)

    @property
    def label(self) -> str:
        """What the names of the run's pods begin with."""
        return self.root.rpartition("/")[2]

    def pod(self, name: str, executor: Mapping[str, Any], executor_input: str) -> Values:
        """The task's pod; identity and scratch space are as KFP's backend gives them."""
        words = [*executor["command"], *executor["args"]]
        command = [executor_input if word == "{{$}}" else word for word in words]
        own = {
            "KFP_POD_NAME": "metadata.name",
            "KFP_POD_UID": "metadata.uid",
            "NAMESPACE": "metadata.namespace",
        }
        variables = [{"name": key, "value": value} for key, value in self.environment.items()]
        variables += [{"name": k, "valueFrom": {"fieldRef": {"fieldPath": v}}} for k, v in own.items()]
        scratch = [{"name": path.strip("/"), "emptyDir": {}} for path in SCRATCH]
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"{self.label}-{name}", "labels": {"pipeline/runid": self.label}},
            "spec": {
                "restartPolicy": "Never",
                "serviceAccountName": self.service_account,
                "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
                "volumes": [*scratch, {"name": "launcher", "configMap": {"name": "launcher"}}],
                "containers": [
                    {
                        "name": "main",
                        "image": executor["image"],
                        "imagePullPolicy": "IfNotPresent",
                        "command": ["python3", "/launcher/launch.py", executor_input, *command],
                        "env": variables,
                        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}},
                        "securityContext": {
                            "allowPrivilegeEscalation": False,
                            "readOnlyRootFilesystem": True,
                            "capabilities": {"drop": ["ALL"]},
                        },
                        "volumeMounts": [
                            *({"name": path.strip("/"), "mountPath": path} for path in SCRATCH),
                            {"name": "launcher", "mountPath": "/launcher"},
                        ],
                    }
                ],
            },
        }


class TaskFailed(Exception):
    """A task's pod failed."""

    def __init__(self, task: str, log: str) -> None:
        super().__init__(f"{task} failed: {log}")
        self.task, self.log = task, log


def in_order(tasks: Mapping[str, Any]) -> list[str]:
    """The tasks, each after those that it depends on."""
    done: list[str] = []
    while len(done) < len(tasks):
        ready = [n for n in tasks if n not in done and set(tasks[n].get("dependentTasks", [])) <= {*done}]
        if not ready:
            raise ValueError("the tasks depend on each other in a circle")
        done += ready
    return done


def is_open(condition: str, parameters: Values) -> bool:
    """Whether a group's condition, a boolean parameter compared with true or false, holds."""
    found = CONDITION.fullmatch(" ".join(condition.split()))
    if not found:
        raise ValueError(f"a condition of a form that Lockgate does not use: {condition}")
    return bool(parameters[found[1]]) == (found[2] == "true")


def described(uris: Mapping[str, str], definitions: Mapping[str, Any]) -> Values:
    """Artifacts as an executor input lists them."""
    return {
        name: {
            "artifacts": [
                {"name": name, "uri": uri, "type": definitions[name]["artifactType"], "metadata": {}}
            ]
        }
        for name, uri in uris.items()
    }
