"""The models of these tests: good ones that answer alike, and ones with a fault each."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.cluster.served import ROOT, corrupted, variant

# How bad, in the units of `serving.laptop.spoil.spoil`: enough to be found in seconds.
FAULTS = {"errors": 0.1, "slow": 80.0, "skewed": 10.0, "crash": 40.0, "memory": 40.0}
# TensorFlow stays out of the tests' own process, which sends the requests.
SPOIL = """
import json, sys
from pathlib import Path
from serving.laptop.spoil import spoil

model, target, faults = sys.argv[1:]
print(json.dumps({
    name: str(spoil(Path(model), Path(target) / name, name, by)) for name, by in json.loads(faults).items()
}))
"""


def spoiled(model: Path, target: Path, faults: Mapping[str, float]) -> dict[str, Path]:
    """Copies of the model with a fault each, by its name."""
    words = [sys.executable, "-c", SPOIL, str(model), str(target), json.dumps(dict(faults))]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return {name: Path(folder) for name, folder in json.loads(done.stdout.splitlines()[-1]).items()}


def good(model: Path, target: Path, number: int) -> Path:
    """A model that answers as this one, with another digest for each number."""
    folder = target / f"good-{number}"
    folder.mkdir(parents=True)
    return variant(model, folder, 0.2 + number / 1000)


def corrupt(model: Path, target: Path) -> Path:
    """A model with one weight that is not as its digest says."""
    folder = target / "corrupt"
    folder.mkdir(parents=True)
    return corrupted(good(model, target, 999), folder)
