"""The rollout controller as a process of this machine, with the rights of its service account alone.

So it can be killed at every point of its work, and be cut off from the pods without anybody else noticing.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from serving.controller.failpoints import VARIABLE
from tests.cluster.kube import Kubectl, wait_for

ROOT = Path(__file__).parents[3]
ACCOUNT = "lockgate-controller"
# A user of its own, by which the machine's routing can tell its connections from all others.
USER = 64_171
STOP_SECONDS = 20.0
# Lets Git read repositories of another user.
GIT_CONFIG = Path(__file__).with_name("gitconfig")
# Short, as a killed leader gives up nothing: the next one has to wait for so long.
LEASE_SECONDS = 3.0


def kubeconfig(kubectl: Kubectl, namespace: str, path: Path) -> Path:
    """A kubeconfig with the rights of the controller's service account, and no others."""
    config = json.loads(kubectl("config", "view", "--minify", "--flatten", "--raw", "-o", "json"))
    token = kubectl("create", "token", ACCOUNT, "-n", namespace, "--duration=4h").strip()
    for user in config["users"]:
        user["user"] = {"token": token}
    path.write_text(json.dumps(config))
    path.chmod(0o644)
    return path


class Controller:
    """One controller at a time, started as often as needed; its log goes on over all of them.

    Args:
        namespace: that it watches.
        config: the kubeconfig.
        log: file.
        port: of its metrics.
    """

    def __init__(self, namespace: str, config: Path, log: Path, port: int) -> None:
        self.namespace, self.log, self.port = namespace, log, port
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *words: str, failpoint: str = "") -> None:
        """Starts it, and waits until it answers; with a failpoint it dies there, maybe before."""
        assert not self.is_running
        environment = {
            **os.environ,
            "KUBECONFIG": str(self._config),
            "HOME": "/tmp",
            VARIABLE: failpoint,
            "GIT_CONFIG_GLOBAL": str(GIT_CONFIG),
        }
        command = [
            sys.executable, "-m", "serving.controller", "--namespace", self.namespace,
            "--host", "127.0.0.1", "--metrics-port", str(self.port),
            "--lease-seconds", f"{LEASE_SECONDS:g}", *words,
        ]  # fmt: skip
        own = {"user": USER, "group": USER, "extra_groups": []} if os.geteuid() == 0 else {}
        with self.log.open("ab") as log:
            log.write(f"--- {' '.join(words)} {failpoint}\n".encode())
            log.flush()
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT, env=environment, **own
            )
        if not failpoint:
            wait_for(
                lambda: self.is_ready or not self.is_running, STOP_SECONDS, "an answer of the controller"
            )
            assert self.is_running, self.said()

    @property
    def is_running(self) -> bool:
        """Whether it has been started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def is_ready(self) -> bool:
        """Whether it answers."""
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/healthz", trust_env=False).is_success
        except httpx.TransportError:
            return False

    def died(self, seconds: float) -> None:
        """Waits until it died by SIGKILL.

        Raises:
            TimeoutExpired: it did not in time.
        """
        assert self._process is not None
        code = self._process.wait(seconds)
        assert code == -signal.SIGKILL, f"it ended with {code}: {self.said()}"

    def kill(self) -> None:
        """Ends it as a lost node would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Ends it as a deployment does; it ends well, in time."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            code = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        assert code == 0, f"it ended with {code}: {self.said()}"

    def said(self, lines: int = 30) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def metrics(controller: Controller) -> dict[str, float]:
    """A controller's own metrics, by name and labels."""
    text = httpx.get(f"http://127.0.0.1:{controller.port}/metrics", trust_env=False).text
    lines = (line.rpartition(" ") for line in text.splitlines() if line.startswith("lockgate_"))
    return {name: float(value) for name, _, value in lines}


@contextmanager
def cut_off(pods: str) -> Iterator[None]:
    """Lets no connection of the controller's user reach the addresses of the pods, such as 10.244.0.0/24.

    A rule of the kernel's routing: what everybody else sends to the pods arrives as before.
    """
    rule = ["to", pods, "uidrange", f"{USER}-{USER}", "prohibit", "priority", "171"]
    subprocess.run(["ip", "rule", "add", *rule], check=True)
    try:
        yield
    finally:
        subprocess.run(["ip", "rule", "del", *rule], check=True)
