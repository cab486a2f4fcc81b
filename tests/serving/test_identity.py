"""A folder is served only when its content is what was promised; it must not matter how it is mounted."""

import shutil
import subprocess
import sys

import pytest

from lockgate.errors import ServingError
from lockgate.shipping.folder import Example, ServingSpec, stage
from lockgate.shipping.server import environment
from serving.runtime.identity import identify


@pytest.fixture
def mounted(exported, tmp_path):
    """A folder with a name of no meaning, and its digest."""
    digest = stage(exported(), ServingSpec(), Example(row={}), tmp_path / "models")
    return tmp_path / "models", digest


def test_the_promised_digest_is_taken_and_another_refused(mounted):
    folder, digest = mounted
    assert identify(folder, digest) == identify(folder, None) == digest
    with pytest.raises(ServingError, match=f"content is {digest}, promised is {'0' * 64}"):
        identify(folder, "0" * 64)
    with pytest.raises(ServingError, match="'latest' is no digest"):
        identify(folder, "latest")


def test_a_folder_that_is_not_whole_is_refused(mounted):
    folder, digest = mounted
    (folder / "saved_model" / "variables" / "variables.index").unlink()
    with pytest.raises(ServingError, match="is not whole"):
        identify(folder, digest)
    shutil.rmtree(folder / "saved_model")
    with pytest.raises(ServingError, match="not a model folder"):
        identify(folder, digest)


@pytest.mark.parametrize("way", ["option", "environment"])
def test_the_server_ends_with_a_sentence_and_its_exit_code(mounted, way):
    folder, _ = mounted
    words = [sys.executable, "-m", "serving.runtime", "--model", folder, "--name", "x", "--port", "0"]
    words += ["--digest", "f" * 64] if way == "option" else []
    env = environment() | ({"LOCKGATE_DIGEST": "f" * 64} if way == "environment" else {})
    ended = subprocess.run(words, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == ServingError.exit_code
    assert "holds another model than was promised" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_pod_whose_annotation_is_missing_serves_nothing(mounted):
    """Kubernetes then sets LOCKGATE_DIGEST to nothing, which must not mean: unchecked."""
    folder, _ = mounted
    words = [sys.executable, "-m", "serving.runtime", "--model", folder, "--name", "x", "--port", "0"]
    env = environment() | {"LOCKGATE_DIGEST": ""}
    ended = subprocess.run(words, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == ServingError.exit_code
    assert "the annotation lockgate.dev/digest is missing" in ended.stderr
    assert "Traceback" not in ended.stderr
