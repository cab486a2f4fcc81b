"""What Flux and Argo CD are to follow: what a push commits reaches the cluster, in order, and no more."""

import fnmatch
import subprocess

import pytest
import yaml

from lockgate.project import Push
from lockgate.shipping import gitrollout
from lockgate.shipping.gitops import changes
from lockgate.shipping.revision import revision_of
from tests.manifests.built import CLUSTER_WIDE, MANIFESTS, ROOT, build, key, overlay
from tests.unit.revisions import STORE, card, project

FLUX = MANIFESTS / "clusters" / "flux"
ARGOCD = MANIFESTS / "clusters" / "argocd"
OTHER = "f" * 64


def of(folder, kind):
    return {o["metadata"]["name"]: o for o in build(folder) if o["kind"] == kind}


@pytest.fixture
def models(tmp_path):
    """A folder of three models as push.to: git leaves it: one pushed twice, one of them by rollout."""
    for name in ("flights", "churn"):
        folder = tmp_path / "models" / name
        folder.mkdir(parents=True)
        for digest in ("0123456789abcdef" * 4, OTHER)[: 2 if name == "flights" else 1]:
            made = revision_of(card(digest, name=name), project(), STORE, {})
            there = {p.name: p.read_bytes() for p in folder.iterdir()}
            for file, content in changes(made, there).items():
                (folder / file).write_bytes(content) if content else (folder / file).unlink()
    rolled = revision_of(card(OTHER, name="trains"), project(), STORE, {})
    (tmp_path / "models" / "trains").mkdir()
    for file, content in gitrollout.changes(rolled, {}).items():
        (tmp_path / "models" / "trains" / file).write_bytes(content or b"")
    return tmp_path / "models"


@pytest.mark.parametrize("name", ["staging", "production"])
def test_flux_follows_the_overlay_of_its_cluster_and_then_the_models(name):
    parts = of(FLUX / name, "Kustomization")
    assert parts["lockgate"]["spec"]["path"] == f"./manifests/overlays/{name}"
    assert parts["lockgate-models"]["spec"]["dependsOn"] == [{"name": "lockgate"}]
    assert parts["lockgate-routes"]["spec"]["dependsOn"] == [{"name": "lockgate-models"}]
    for part in parts.values():
        assert part["spec"]["prune"] is True
        assert part["spec"]["wait"] is True
        assert (ROOT / part["spec"]["path"]).is_dir()
        assert part["spec"]["sourceRef"]["name"] in of(FLUX / name, "GitRepository")


def test_flux_fetches_the_folder_that_push_writes_to(tmp_path):
    (source,) = of(FLUX / "production", "GitRepository").values()
    parts = of(FLUX / "production", "Kustomization")
    assert {parts[n]["spec"]["path"] for n in ("lockgate-models", "lockgate-routes")} == {f"./{Push().path}"}
    # Flux reads the rules as Git reads .gitignore, so Git itself is asked.
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    (tmp_path / ".gitignore").write_text(source["spec"]["ignore"])
    paths = ["README.md", "lockgate/errors.py", f"{Push().path}/flights/httproute.yaml"]
    command = ["git", "-C", tmp_path, "check-ignore", *paths]
    ignored = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    assert ignored == paths[:2]


def test_flux_brings_revisions_first_and_routes_when_they_are_ready(models, tmp_path):
    parts = of(FLUX / "production", "Kustomization")
    made = {}
    for name in ("lockgate-models", "lockgate-routes"):
        folder = tmp_path / name
        folder.mkdir()
        content = {
            "resources": [f"../models/{p.name}" for p in models.iterdir()],
            "namespace": parts[name]["spec"]["targetNamespace"],
            "patches": parts[name]["spec"]["patches"],
        }
        (folder / "kustomization.yaml").write_text(yaml.safe_dump(content))
        made[name] = {key(o) for o in build(folder)}
    assert made == {
        "lockgate-models": {
            ("InferenceService", "churn-01234567"),
            ("InferenceService", "flights-01234567"),
            ("InferenceService", "flights-ffffffff"),
            ("ModelRollout", "trains"),
        },
        "lockgate-routes": {("HTTPRoute", "churn"), ("HTTPRoute", "flights")},
    }


def test_flux_may_do_with_models_what_it_must_and_nothing_else(models):
    kinds = {o["kind"] for p in models.iterdir() for o in build(p)}
    (role,) = of(FLUX / "production", "Role").values()
    assert role["metadata"]["namespace"] == "lockgate"
    allowed = {resource for rule in role["rules"] for resource in rule["resources"]}
    assert allowed == {f"{kind.lower()}s" for kind in kinds} == {
        "inferenceservices", "httproutes", "modelrollouts",
    }  # fmt: skip
    for name in ("lockgate-models", "lockgate-routes"):
        part = of(FLUX / "production", "Kustomization")[name]
        assert part["spec"]["serviceAccountName"] == role["metadata"]["name"]


@pytest.mark.parametrize("name", ["staging", "production"])
def test_argo_cd_may_make_what_the_overlays_hold(name):
    permitted = of(ARGOCD, "AppProject")["lockgate"]["spec"]
    wide = {(p["group"], p["kind"]) for p in permitted["clusterResourceWhitelist"]}
    refused = {(p["group"], p["kind"]) for p in permitted["namespaceResourceBlacklist"]}
    for thing in overlay(name):
        group = thing["apiVersion"].rpartition("/")[0]
        if thing["kind"] in CLUSTER_WIDE:
            assert (group, thing["kind"]) in wide, key(thing)
        else:
            assert (group, thing["kind"]) not in refused


def test_argo_cd_makes_an_application_of_every_model_and_lets_it_hold_no_more(models):
    (found,) = of(ARGOCD, "ApplicationSet").values()
    (generator,) = found["spec"]["generators"]
    (folder,) = generator["git"]["directories"]
    assert fnmatch.fnmatch(f"{Push().path}/flights", folder["path"])
    template = found["spec"]["template"]["spec"]
    permitted = of(ARGOCD, "AppProject")[template["project"]]["spec"]
    assert permitted["clusterResourceWhitelist"] == []
    held = {(o["apiVersion"].partition("/")[0], o["kind"]) for p in models.iterdir() for o in build(p)}
    assert held == {(p["group"], p["kind"]) for p in permitted["namespaceResourceWhitelist"]}


def test_argo_cd_moves_the_route_after_the_revision_and_prunes_last(models):
    waves = {
        o["kind"]: int(o["metadata"]["annotations"].get("argocd.argoproj.io/sync-wave", 0))
        for p in models.iterdir()
        for o in build(p)
        if o["kind"] != "ModelRollout"
    }
    assert waves["InferenceService"] < waves["HTTPRoute"]
    (found,) = of(ARGOCD, "ApplicationSet").values()
    assert "PruneLast=true" in found["spec"]["template"]["spec"]["syncPolicy"]["syncOptions"]


def test_both_read_one_repository():
    (source,) = of(FLUX / "production", "GitRepository").values()
    addresses = {source["spec"]["url"]}
    for thing in build(ARGOCD):
        found = yaml.safe_dump(thing).split()
        addresses |= {word for word in found if word.startswith("https://git.")}
    assert len(addresses) == 1
