"""The controller's image has no TensorFlow, and what the controller imports asks for none."""

import subprocess
import sys

HEAVY = (
    "tensorflow",
    "keras",
    "tensorflow_data_validation",
    "polars",
    "pandas",
    "pyarrow",
    "scipy",
    "sklearn",
    "kfp",
)
LOOK = """
import sys
import serving.controller.__main__, serving.controller.cluster.gitbook, serving.controller.dry
print(*sorted(set(sys.argv[1:]) & sys.modules.keys()))
"""


def test_the_controller_imports_nothing_that_its_image_lacks():
    command = [sys.executable, "-c", LOOK, *HEAVY]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
