"""The compiled pipeline and the generated pages are what the code says."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipelines.compile import STEPS, wanted

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def files() -> dict[Path, str]:
    return wanted()


def test_nothing_generated_is_stale(files):
    stale = [str(path.relative_to(ROOT)) for path, text in files.items() if path.read_text() != text]
    assert not stale, f"stale: {stale}; run `make compile`"


def test_a_stale_file_fails_lint_and_is_named(tmp_path):
    """The check is run for real, on a copy whose pipeline was changed by hand."""
    script = (
        "import sys, pathlib, pipelines.compile as c; c.ROOT = pathlib.Path(sys.argv.pop(1)); "
        "sys.argv.append('--check'); c.main()"
    )
    for path, text in wanted().items():
        target = tmp_path / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text.replace("Push the model", "Push it"))
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], check=False, capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 1
    assert (
        done.stderr.strip()
        == "Stale: pipelines/compiled/training.yaml. Run `make compile` and commit the result."
    )


def test_no_task_installs_packages_at_start(files):
    spec = files[ROOT / "pipelines" / "compiled" / "training.yaml"]
    assert "pip install" not in spec


def test_every_step_is_a_task_and_side_effects_are_never_cached(files):
    spec = next(yaml.safe_load_all(files[ROOT / "pipelines" / "compiled" / "training.yaml"]))
    tasks = dict(spec["root"]["dag"]["tasks"])
    for component in spec["components"].values():
        tasks |= component.get("dag", {}).get("tasks", {})
    names = {step.replace("_", "-") for step in STEPS}
    assert names <= tasks.keys()
    cached = {name for name in names if tasks[name]["cachingOptions"].get("enableCache")}
    assert cached == names - {"evaluate", "check-serving", "push"}


def test_every_task_has_a_name_that_people_read(files):
    spec = next(yaml.safe_load_all(files[ROOT / "pipelines" / "compiled" / "training.yaml"]))
    shown = [task["taskInfo"]["name"] for task in spec["root"]["dag"]["tasks"].values()]
    assert "Collect the data" in shown
    assert all(name[0].isupper() for name in shown if name != "model-approved")
