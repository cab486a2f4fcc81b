"""The images' lock files agree with each other; a tool that cannot build is named before anything starts."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ("shared", "runtime", "pipeline", "trainer-cpu", "trainer-gpu", "controller")
PIN = re.compile(r"^([a-z0-9.-]+)==([^ ;]+)( ; [^\\]+)?", re.MULTILINE)


def pins(name: str) -> dict[str, set[str]]:
    """By package, the versions that a lock file allows."""
    found: dict[str, set[str]] = {}
    for package, version, _ in PIN.findall((ROOT / "requirements" / f"{name}.txt").read_text()):
        found.setdefault(package, set()).add(version)
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_images_run_on_the_versions_that_a_laptop_runs_on(lock):
    laptop = pins("tfdv-1.21")
    assert {p: v for p, v in pins(lock).items() if p in laptop and not v <= laptop[p]} == {}


@pytest.mark.parametrize("lock", ["runtime", "pipeline", "trainer-cpu", "trainer-gpu"])
def test_what_images_share_is_in_each_of_them(lock):
    """Else a layer would be replaced in part: the file would be there twice."""
    shared, own = pins("shared"), pins(lock)
    assert {p: v for p, v in shared.items() if own.get(p) != v} == {}


def test_the_light_image_has_no_tensorflow():
    assert "tensorflow" in pins("shared")
    assert "tensorflow" not in pins("controller")


def test_the_gpu_s_trainer_differs_by_nvidia_s_libraries_alone():
    more = pins("trainer-gpu").keys() - pins("trainer-cpu").keys()
    assert more
    assert {package for package in more if not package.startswith("nvidia-")} == set()


def test_a_tool_that_gives_no_answer_is_named():
    done = subprocess.run(
        [ROOT / "images" / "build"],
        env={**os.environ, "BUILDER": "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "No image can be built here: false" in done.stderr
    assert done.stdout == ""
