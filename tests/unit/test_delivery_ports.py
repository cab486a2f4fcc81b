"""Which delivery a step in a pod gets, as project.yaml says; on a laptop none."""

import pytest

from components.cluster.delivery import ClusterDelivery
from components.cluster.git import GitDelivery, GitRolloutDelivery
from components.cluster.ports import delivery, ports
from components.cluster.rollout import RolloutDelivery
from lockgate.errors import ClusterError
from lockgate.project import Push
from lockgate.steps.step import Settings
from tests.unit.revisions import project


def test_a_folder_is_delivered_nowhere():
    assert delivery(Push()) is None


def test_a_git_repository_is_delivered_to_by_git():
    where = "https://git.example.org/a.git"
    assert type(delivery(Push(to="git", repository=where))) is GitRolloutDelivery
    assert type(delivery(Push(to="git", repository=where, strategy="replace"))) is GitDelivery


def test_a_cluster_is_delivered_to_with_the_pods_or_kubeconfigs_access(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
    with pytest.raises(ClusterError, match="There is no cluster to talk to"):
        delivery(Push(to="cluster"))
    (tmp_path / "config").write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
        "clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\n"
        "users: [{name: c, user: {token: x}}]\ncontexts: [{name: c, context: {cluster: c, user: c}}]\n"
    )
    monkeypatch.setattr(
        "kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "config")
    )
    assert isinstance(delivery(Push(to="cluster")), RolloutDelivery)
    assert isinstance(delivery(Push(to="cluster", strategy="replace")), ClusterDelivery)


def test_on_a_laptop_push_to_cluster_is_not_read(monkeypatch):
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    settings = Settings(project=project(to="cluster"), version="1").model_dump_json()
    assert ports(settings).delivery is None
