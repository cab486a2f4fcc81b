"""Every overlay builds; what it holds is named, labelled, pinned, unprivileged, and its own business."""

import re

import pytest
import yaml

import lockgate
from tests.manifests.built import (
    CLUSTER_WIDE,
    COMPONENTS,
    MANIFESTS,
    OVERLAYS,
    adhoc,
    build,
    containers,
    key,
    overlay,
    text,
    versions,
    walk,
)

BASE = MANIFESTS / "base"
# Where an overlay may differ from what base and its components say.
ALLOWED = {
    "ServiceAccount": r"metadata\.annotations\.iam\.gke\.io/gcp-service-account",
    "NetworkPolicy": r"spec\.(egress|ingress)\..*",
    "ClusterQueue": r"spec\.resourceGroups\..*\.nominalQuota",
    "ClusterServingRuntime": r"spec\.containers\.\d+\.image",
    "ClusterTrainingRuntime": r".*\.containers\.\d+\.image",
    "Deployment": r".*\.containers\.\d+\.image",
    "ClusterStorageContainer": r"spec\.container\.env\..*",
}


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_object_has_its_namespace_and_label(name):
    objects = overlay(name)
    assert len({(o["apiVersion"], *key(o)) for o in objects}) == len(objects)
    for thing in objects:
        namespace = thing["metadata"].get("namespace")
        assert namespace == (None if thing["kind"] in CLUSTER_WIDE else "lockgate"), key(thing)
        assert thing["metadata"]["labels"]["app.kubernetes.io/part-of"] == "lockgate", key(thing)


@pytest.mark.parametrize("name", OVERLAYS)
def test_images_come_from_versions_env(name):
    images = [c["image"] for o in overlay(name) for c in containers(o) if "image" in c]
    assert len(images) == 3
    for image in images:
        assert re.fullmatch(
            rf"docker\.io/lockgate/(controller|runtime|trainer):{versions()['LOCKGATE']}", image
        )


def test_versions_are_those_of_the_code_and_none_floats():
    assert versions()["LOCKGATE"] == lockgate.__version__
    for name, version in versions().items():
        assert re.search(r"\d+\.\d+\.\d+", version), f"{name}={version} names no release"


@pytest.mark.parametrize("name", OVERLAYS)
def test_nothing_is_privileged_and_nothing_is_secret(name):
    forbidden = {"hostNetwork", "hostPID", "hostIPC", "hostPath", "hostPort"}
    for thing in overlay(name):
        assert thing["kind"] != "Secret", key(thing)
        for path, value in walk(thing):
            assert not forbidden & set(path), (key(thing), path)
            assert "latest" not in str(value).split(":"), (key(thing), path)
        for container in containers(thing):
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["readOnlyRootFilesystem"] is True
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert not context.get("privileged")


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_holds_only_what_differs(name):
    folder = MANIFESTS / "overlays" / name
    used = yaml.safe_load((folder / "kustomization.yaml").read_text())["components"]
    plain = {key(o): dict(walk(o)) for o in adhoc([BASE], [folder / path for path in used])}
    built = {key(o): dict(walk(o)) for o in overlay(name)}
    assert built.keys() == plain.keys()
    for what, leaves in built.items():
        for path in leaves.keys() | plain[what].keys():
            if leaves.get(path) != plain[what].get(path):
                shown = ".".join(map(str, path))
                assert re.fullmatch(ALLOWED.get(what[0], "-"), shown), f"{name} changes {what} at {shown}"


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_adds_to_base_and_changes_only_what_it_is_for(name):
    plain = {key(o): dict(walk(o)) for o in build(BASE)}
    built = {key(o): dict(walk(o)) for o in adhoc([BASE], [MANIFESTS / "components" / name])}
    assert built.keys() >= plain.keys()
    changed = {what for what in plain if built[what] != plain[what]}
    assert changed == ({("ClusterTrainingRuntime", "lockgate-tensorflow")} if name == "gpu" else set())
    assert built.keys() > plain.keys() or name == "gpu"


def test_the_gpu_component_asks_for_a_gpu_and_its_image():
    built = adhoc([BASE], [MANIFESTS / "components" / "gpu"])
    (runtime,) = [o for o in built if o["kind"] == "ClusterTrainingRuntime"]
    (job,) = runtime["spec"]["template"]["spec"]["replicatedJobs"]
    pod = job["template"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"] == f"docker.io/lockgate/trainer-gpu:{versions()['LOCKGATE']}"
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert pod["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    mounted = {m["name"]: m["mountPath"] for m in container["volumeMounts"]}
    assert {v["name"] for v in pod["volumes"]} == mounted.keys()
    assert mounted["shared-memory"] == "/dev/shm"


def test_every_file_is_used():
    named = {
        (file.parent / path).resolve()
        for file in MANIFESTS.rglob("kustomization.yaml")
        for content in [yaml.safe_load(file.read_text())]
        for path in [
            *content.get("resources", []),
            *[p["path"] for p in content.get("patches", []) if "path" in p],
            *[f for g in content.get("configMapGenerator", []) for f in g.get("files", [])],
        ]
    }
    files = {
        file.resolve()
        for folder in ("base", "components", "overlays", "clusters")
        for file in (MANIFESTS / folder).rglob("*.yaml")
        if file.name != "kustomization.yaml"
    }
    assert files <= named
    folders = {p.parent for p in (MANIFESTS / "components").rglob("kustomization.yaml")}
    assert {f.name for f in folders} == set(COMPONENTS)


def test_production_says_project_id_until_somebody_fills_it_in():
    assert "PROJECT-ID" in text(MANIFESTS / "overlays" / "production")
    assert "PROJECT-ID" not in text(MANIFESTS / "overlays" / "local")
