"""A service account a role, each with what its code does and nothing that leads further."""

from tests.manifests.built import MANIFESTS, build

BASE = MANIFESTS / "base"
LEADS_FURTHER = {"*", "escalate", "bind", "impersonate", "approve", "sign"}
NOBODYS = {"*", "secrets", "pods/exec", "pods/attach", "pods/portforward", "pods/ephemeralcontainers"}


def everything():
    objects = build(BASE) + build(MANIFESTS / "clusters" / "flux" / "production")
    return objects, [o for o in objects if o["kind"] in ("Role", "ClusterRole")]


def test_no_role_has_a_wildcard_or_a_way_to_more():
    _, roles = everything()
    assert len(roles) >= 5
    for role in roles:
        for rule in role["rules"]:
            assert not LEADS_FURTHER & set(rule["verbs"]), role["metadata"]["name"]
            assert not NOBODYS & set(rule["resources"]), role["metadata"]["name"]
            assert "*" not in rule["apiGroups"], role["metadata"]["name"]
            if "pods" in rule["resources"]:
                assert set(rule["verbs"]) <= {"get", "list", "watch"}, role["metadata"]["name"]


def test_what_is_over_the_whole_cluster_is_reading_two_objects_by_name_and_gateways():
    _, roles = everything()
    wide = {r["metadata"]["name"]: r["rules"] for r in roles if r["kind"] == "ClusterRole"}
    assert wide.keys() == {"lockgate-runtimes", "lockgate-gateways"}
    for name, rules in wide.items():
        for rule in rules:
            assert rule["verbs"] == ["get"]
            if name == "lockgate-runtimes":
                assert rule["resourceNames"] == ["lockgate-tensorflow"]
            else:
                assert rule["resources"] == ["gateways", "gatewayclasses"]


def test_every_account_has_its_own_role_or_no_token():
    objects, _ = everything()
    accounts = {o["metadata"]["name"]: o for o in objects if o["kind"] == "ServiceAccount"}
    bound = {}
    for binding in (o for o in objects if o["kind"] == "RoleBinding"):
        (subject,) = binding["subjects"]
        assert binding["roleRef"]["name"] == subject["name"] == binding["metadata"]["name"]
        bound[subject["name"]] = binding
    # Flux impersonates the last one; no pod has it.
    assert bound.keys() == {"lockgate-pipeline", "lockgate-push", "lockgate-controller", "lockgate-models"}
    for name in accounts.keys() - (bound.keys() - {"lockgate-models"}):
        assert accounts[name]["automountServiceAccountToken"] is False, name


def test_only_gitops_and_the_controller_may_delete_a_model():
    _, roles = everything()
    may = {
        role["metadata"]["name"]
        for role in roles
        for rule in role["rules"]
        if "inferenceservices" in rule["resources"] and "delete" in rule["verbs"]
    }
    assert may == {"lockgate-models", "lockgate-controller"}


def test_only_the_controller_says_how_a_rollout_stands():
    _, roles = everything()
    may = {
        role["metadata"]["name"]
        for role in roles
        for rule in role["rules"]
        if "modelrollouts/status" in rule["resources"]
    }
    assert may == {"lockgate-controller"}


def test_who_operates_rollouts_changes_nothing_else_and_is_bound_by_people():
    objects, roles = everything()
    (role,) = [r for r in roles if r["metadata"]["name"] == "lockgate-rollout-operator"]
    for rule in role["rules"]:
        if rule["resources"] != ["modelrollouts", "modelrollouts/scale"]:
            assert rule["verbs"] == ["get", "list", "watch"]
    bound = {o["roleRef"]["name"] for o in objects if o["kind"] in ("RoleBinding", "ClusterRoleBinding")}
    assert "lockgate-rollout-operator" not in bound
