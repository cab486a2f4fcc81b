"""Set-up chooses the environments by the host, and says so at once where nothing fits."""

import importlib.util
from pathlib import Path

import pytest

spec = importlib.util.spec_from_file_location(
    "install", Path(__file__).parents[2] / "requirements" / "install.py"
)
assert spec is not None
assert spec.loader is not None
install = importlib.util.module_from_spec(spec)
spec.loader.exec_module(install)


@pytest.mark.parametrize("python", [(3, 11), (3, 12), (3, 13)])
def test_a_recent_host_has_one_environment(python):
    assert install.choose(python, "linux", "x86_64", "glibc", "2.39") == {".venv": "tfdv-1.21.txt"}


def test_an_older_host_has_a_second_one_for_tfdv():
    chosen = install.choose((3, 11), "linux", "x86_64", "glibc", "2.36")
    assert chosen == {".venv": "dev.txt", ".venv-tfdv": "tfdv-1.16.txt"}


def test_apple_silicon_has_one_environment():
    assert install.choose((3, 12), "darwin", "arm64", "", "") == {".venv": "tfdv-1.21.txt"}


@pytest.mark.parametrize(
    ("python", "system", "machine", "libc", "version"),
    [
        ((3, 12), "linux", "x86_64", "glibc", "2.36"),
        ((3, 13), "linux", "x86_64", "glibc", "2.9"),
        ((3, 12), "darwin", "x86_64", "", ""),
        ((3, 13), "linux", "aarch64", "glibc", "2.41"),
    ],
)
def test_where_no_wheel_fits_the_container_is_named(python, system, machine, libc, version):
    with pytest.raises(SystemExit, match=r"python:3\.13-slim"):
        install.choose(python, system, machine, libc, version)


@pytest.mark.parametrize("python", [(3, 10), (3, 14)])
def test_another_python_is_refused(python):
    with pytest.raises(SystemExit, match=r"3\.11, 3\.12 and 3\.13"):
        install.choose(python, "linux", "x86_64", "glibc", "2.41")


def test_every_lock_file_has_hashes_and_no_registry_address():
    for lock in (Path(__file__).parents[2] / "requirements").glob("*.txt"):
        if lock.name != "overrides.txt":
            text = lock.read_text()
            assert "--hash=sha256:" in text
            assert "://" not in text
