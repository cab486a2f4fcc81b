"""Kills containers from outside, as the kernel or a broken node does.

Signals from inside of a container do not reach its first process, so a pod with the node's process numbers
sends them: this works on every cluster that allows a privileged pod.
"""

import uuid

from tests.cluster.kube import Kubectl, wait_for
from tests.cluster.training.jobs import IMAGE

KILL = """
import glob, os, signal, sys
found = []
for file in glob.glob('/proc/[0-9]*/cgroup'):
    try:
        if sys.argv[1] in open(file).read():
            found.append(int(file.split('/')[2]))
    except OSError:
        pass
os.kill(min(found), signal.SIGKILL)
print(min(found))
"""


class Killer:
    """A privileged pod in a namespace of its own."""

    def __init__(self, kubectl: Kubectl) -> None:
        self._kubectl, self._namespace = kubectl, f"lockgate-kill-{uuid.uuid4().hex[:6]}"

    def start(self) -> None:
        """Makes the pod and waits until it runs."""
        self._kubectl("create", "namespace", self._namespace)
        container = {
            "name": "killer",
            "image": IMAGE,
            "imagePullPolicy": "IfNotPresent",
            "command": ["python", "-c", "import signal; signal.sigwait([signal.SIGTERM])"],
            "securityContext": {"privileged": True, "runAsUser": 0},
        }
        spec = {"hostPID": True, "containers": [container], "terminationGracePeriodSeconds": 1}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "killer"}, "spec": spec}
        self._kubectl.apply(pod, namespace=self._namespace)
        read = lambda: self._kubectl.get("pod", "killer", namespace=self._namespace)  # noqa: E731
        wait_for(lambda: read()["status"]["phase"] == "Running", 60, "the killer")

    def kill(self, namespace: str, pod: str) -> None:
        """SIGKILL to the first process of a pod's container."""
        status = self._kubectl.get("pod", pod, namespace=namespace)["status"]["containerStatuses"][0]
        container = status["containerID"].rpartition("/")[2]
        self._kubectl("exec", "-n", self._namespace, "killer", "--", "python", "-c", KILL, container)

    def stop(self) -> None:
        """Deletes the pod and its namespace."""
        self._kubectl("delete", "namespace", self._namespace, "--wait=false")
