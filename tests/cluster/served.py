"""A trained model on a cluster: made on this machine, uploaded, delivered as the push step delivers."""

import functools
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from components.cluster.apply import Objects
from components.cluster.delivery import ClusterDelivery
from lockgate.config import read_project
from lockgate.project import Cluster, Project, Push
from lockgate.shipping.folder import CARD, EXAMPLE, Example, folder_digest
from lockgate.shipping.record import ModelCard
from lockgate.shipping.revision import Revision, revision_of
from lockgate.storage import store_at
from lockgate.workspace import Workspace
from tests.cluster.kube import Kubectl

ROOT = Path(__file__).parents[2]
CHANGES = {"serving": {"rows": 300, "latency_ms": 5000, "load_seconds": 240, "memory_mb": 1500}}
READY_SECONDS = 300.0


@functools.cache
def trained() -> Path:
    """The folder of a penguins model that went through the pipeline on this machine; trained once."""
    folder = Path(tempfile.mkdtemp(prefix="lockgate-penguins-"))
    for file in (ROOT / "examples" / "penguins").iterdir():
        if file.is_file():
            shutil.copy(file, folder)
    written = yaml.safe_load((folder / "project.yaml").read_text()) | CHANGES
    (folder / "project.yaml").write_text(yaml.safe_dump(written))
    program = Path(sys.executable).parent / "lockgate"
    done = subprocess.run([program, "run", folder], check=False, capture_output=True, text=True, cwd=ROOT)
    workspace = Workspace(folder / ".lockgate")
    digest = workspace.champion()
    assert digest, f"no model was pushed: {done.stdout}{done.stderr}"
    return workspace.models / digest


def variant(model: Path, target: Path, threshold: float) -> Path:
    """Another model folder that answers alike: its threshold, which three classes do not use, differs."""
    draft = target / "draft"
    shutil.copytree(model, draft)
    (draft / "serving.json").chmod(0o644)
    (draft / "serving.json").write_text(f'{{"threshold": {threshold}}}\n')
    digest = folder_digest(draft)
    card = ModelCard.load(draft / CARD).model_copy(update={"content": digest})
    (draft / CARD).chmod(0o644)
    card.save(draft / CARD)
    return draft.rename(target / digest)


def corrupted(model: Path, target: Path) -> Path:
    """The folder with one weight changed, under the name of what it was."""
    changed = target / model.name
    shutil.copytree(model, changed)
    weights = next((changed / "saved_model" / "variables").glob("variables.data*"))
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.chmod(0o644)
    weights.write_bytes(bytes(content))
    return changed


def upload(model: Path, store: str) -> None:
    """Puts a model folder below the store's address, as the push step does."""
    files = [p.relative_to(model).as_posix() for p in model.rglob("*") if p.is_file()]
    store_at(f"{store}/{model.name}").send_all(model, files, is_new=True)


@dataclass
class Place:
    """A namespace that models are pushed to, with the rights of the push step."""

    namespace: str
    store: str
    gateway: str
    objects: Objects

    def project(self, **push: Any) -> Project:
        """The penguins in this namespace; small requests, two replicas."""
        written = read_project(ROOT / "examples" / "penguins")
        section = Push(**{"to": "cluster", "strategy": "replace", "cpu": "100m", **push})
        return written.model_copy(update={"cluster": Cluster(namespace=self.namespace), "push": section})

    def revision(self, model: Path, **push: Any) -> Revision:
        """The revision of a model folder in this namespace."""
        row = Example.load(model / EXAMPLE).row
        return revision_of(ModelCard.load(model / CARD), self.project(**push), self.store, row)

    def push(self, model: Path, seconds: float = READY_SECONDS, **push: Any) -> str:
        """Uploads and delivers a model."""
        upload(model, self.store)
        return ClusterDelivery(seconds, self.objects).deliver(self.revision(model, **push))

    def post(self, body: Any, path: str = "/v1/models/penguins:predict") -> httpx.Response:
        """One request through the gateway."""
        headers = {"Host": f"penguins.{self.namespace}.models"}
        return httpx.post(f"{self.gateway}{path}", json=body, headers=headers, trust_env=False, timeout=30)


def place(kubectl: Kubectl, namespace: str, bucket: str, gateway: str) -> Place:
    """A namespace, with the rights that manifests/base gives to the push step in it."""
    return Place(namespace, f"{bucket}/models", gateway, as_account(kubectl, namespace, "lockgate-push"))


def as_account(kubectl: Kubectl, namespace: str, account: str) -> Objects:
    """A connection with the rights of a service account, and no others."""
    from kubernetes import client, config

    config.load_config()
    given = client.Configuration.get_default_copy()
    given.cert_file = given.key_file = None
    token = kubectl("create", "token", account, "-n", namespace, "--duration=2h").strip()
    given.api_key = {"authorization": f"Bearer {token}"}
    return Objects(client.ApiClient(given))
