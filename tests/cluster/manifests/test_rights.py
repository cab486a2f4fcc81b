"""What each service account may do on a real API server, and what it is refused."""

import subprocess

import pytest

from tests.cluster.kube import Kubectl

MAY = {
    "pipeline": [
        "get create delete trainjobs.trainer.kubeflow.org",
        "get create delete jobs.batch",
        "create services",
        "get list pods",
        "get pods/log",
        "list events",
        "get clustertrainingruntimes.trainer.kubeflow.org/lockgate-tensorflow",
    ],
    "push": [
        "get list create patch inferenceservices.serving.kserve.io",
        "get create patch httproutes.gateway.networking.k8s.io",
        "get deployments.apps",
        "list pods",
        "list endpointslices.discovery.k8s.io",
        "get create patch modelrollouts.lockgate.dev",
        "get clusterservingruntimes.serving.kserve.io/lockgate-tensorflow",
    ],
    "controller": [
        "get list watch patch modelrollouts.lockgate.dev",
        "patch modelrollouts.lockgate.dev/status",
        "get list watch create patch delete inferenceservices.serving.kserve.io",
        "get list watch create patch httproutes.gateway.networking.k8s.io",
        "get deployments.apps",
        "list pods",
        "list endpointslices.discovery.k8s.io",
        "get create patch configmaps",
        "create patch events",
        "create leases.coordination.k8s.io",
        "get patch leases.coordination.k8s.io/lockgate-controller",
        "get gatewayclasses.gateway.networking.k8s.io",
        "get gateways.gateway.networking.k8s.io",
    ],
    "trainer": [],
    "serving": [],
}
NONE_MAY = [
    "get list watch create secrets",
    "create patch delete pods",
    "create pods/exec",
    "create pods/attach",
    "create pods/portforward",
    "create serviceaccounts",
    "create serviceaccounts/token",
    "list watch delete deletecollection configmaps",
    "update modelrollouts.lockgate.dev/status",
    "get patch leases.coordination.k8s.io/another",
    "create patch deployments.apps",
    "create cronjobs.batch",
    "create patch bind escalate roles.rbac.authorization.k8s.io",
    "create patch rolebindings.rbac.authorization.k8s.io",
    "create patch networkpolicies.networking.k8s.io",
    "delete resourcequotas",
    "deletecollection inferenceservices.serving.kserve.io",
    "delete httproutes.gateway.networking.k8s.io",
    "delete deletecollection modelrollouts.lockgate.dev",
    "patch modelrollouts.lockgate.dev/scale",
    "create trainingruntimes.trainer.kubeflow.org",
    "create servingruntimes.serving.kserve.io",
    "create jobsets.jobset.x-k8s.io",
]
NONE_MAY_ANYWHERE = [
    "list namespaces",
    "get list nodes",
    "list persistentvolumes",
    "create patch clusterroles.rbac.authorization.k8s.io",
    "bind escalate clusterroles.rbac.authorization.k8s.io/cluster-admin",
    "create clusterrolebindings.rbac.authorization.k8s.io",
    "impersonate users",
    "impersonate groups/system:masters",
    "create patch clustertrainingruntimes.trainer.kubeflow.org",
    "create patch clusterservingruntimes.serving.kserve.io",
    "get clustertrainingruntimes.trainer.kubeflow.org/another",
    "create patch validatingadmissionpolicies.admissionregistration.k8s.io",
    "create patch mutatingwebhookconfigurations.admissionregistration.k8s.io",
    "patch customresourcedefinitions.apiextensions.k8s.io",
    "list patch gateways.gateway.networking.k8s.io",
    "list patch gatewayclasses.gateway.networking.k8s.io",
]
ONLY = {
    "pipeline": [
        "create trainjobs.trainer.kubeflow.org",
        "create jobs.batch",
        "create services",
        "get pods/log",
    ],
    "push": ["create modelrollouts.lockgate.dev"],
    "controller": [
        "patch modelrollouts.lockgate.dev/status",
        "delete inferenceservices.serving.kserve.io",
        "create patch configmaps",
        "create leases.coordination.k8s.io",
        "patch events",
    ],
}
# What the push step and the controller do both, each where no other may.
BOTH = ["create inferenceservices.serving.kserve.io", "create httproutes.gateway.networking.k8s.io"]


def can(
    kubectl: Kubectl, account: str, namespace: str, wish: str, within: str, who: str = ""
) -> dict[str, bool]:
    """What the API server answers to `verb… resource[/name]`, by verb; within a namespace, or "" for all."""
    *verbs, resource = wish.split()
    answers = {}
    for verb in verbs:
        words = ["auth", "can-i", verb]
        plain, _, more = resource.partition("/")
        if more in ("log", "exec", "attach", "portforward", "token", "status", "scale"):
            words += [plain, f"--subresource={more}"]
        else:
            words += [resource]
        words += [f"--namespace={within}"] if within else ["--all-namespaces"]
        words += [f"--as={who or f'system:serviceaccount:{namespace}:lockgate-{account}'}"]
        done = subprocess.run(["kubectl", *words], capture_output=True, text=True, check=False)
        said = done.stdout.strip()
        assert said.startswith(("yes", "no")), f"{' '.join(words)}: {done.stderr}"
        assert "doesn't have a resource type" not in done.stderr, resource
        answers[verb] = said.startswith("yes")
    return answers


@pytest.mark.parametrize("account", MAY)
def test_an_account_may_do_its_work(kubectl, place, account):
    for wish in MAY[account]:
        answers = can(kubectl, account, place, wish, place)
        assert all(answers.values()), (wish, answers)


@pytest.mark.parametrize("account", MAY)
def test_an_account_may_do_nothing_that_leads_further(kubectl, place, account):
    for wish in NONE_MAY:
        answers = can(kubectl, account, place, wish, place)
        assert not any(answers.values()), (wish, answers)
    for wish in NONE_MAY_ANYWHERE:
        answers = can(kubectl, account, place, wish, "")
        assert not any(answers.values()), (wish, answers)


@pytest.mark.parametrize("account", MAY)
def test_an_account_may_not_do_the_work_of_another_nor_in_another_namespace(kubectl, place, account):
    for owner, wishes in ONLY.items():
        for wish in wishes:
            if owner != account:
                assert not any(can(kubectl, account, place, wish, place).values()), wish
            assert not any(can(kubectl, account, place, wish, "default").values()), wish
    for wish in BOTH:
        assert all(can(kubectl, account, place, wish, place).values()) == (account in ("push", "controller"))
        assert not any(can(kubectl, account, place, wish, "default").values()), wish


def test_who_operates_rollouts_may_ask_for_something_and_change_no_object_of_theirs(kubectl, place):
    role = ("--role=lockgate-rollout-operator", "--user=ann")
    kubectl("create", "rolebinding", "operators", *role, "-n", place)
    may = [
        "get list watch patch modelrollouts.lockgate.dev",
        "get patch modelrollouts.lockgate.dev/scale",
        "get list watch events",
        "get inferenceservices.serving.kserve.io",
    ]
    for wish in may:
        assert all(can(kubectl, "", place, wish, place, "ann").values()), wish
        assert not any(can(kubectl, "", place, wish, "default", "ann").values()), wish
    for wish in (
        *(wish for wish in NONE_MAY if not wish.endswith("/scale")),
        "create delete modelrollouts.lockgate.dev",
        "patch modelrollouts.lockgate.dev/status",
        "patch inferenceservices.serving.kserve.io",
        "patch httproutes.gateway.networking.k8s.io",
    ):
        assert not any(can(kubectl, "", place, wish, place, "ann").values()), wish


def test_pods_of_workers_and_models_get_no_token(kubectl, place):
    for account in ("trainer", "serving"):
        found = kubectl.get("serviceaccount", f"lockgate-{account}", namespace=place)
        assert found["automountServiceAccountToken"] is False
