"""Makes the environments that Lockgate runs in, from the lock files. Needs only the standard library.

One environment (.venv) holds everything where TensorFlow Data Validation's current wheels fit the host;
on an older host a second one (.venv-tfdv) holds its last fitting version, and the validate step calls it
as a process. A second call with the same lock files does nothing.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
UV = "uv==0.13.8"
CONTAINER = "python:3.13-slim (Debian 13)"


def main() -> None:
    """Makes or updates the environments."""
    locks = choose(sys.version_info[:2], sys.platform, platform.machine(), *glibc())
    installer = ROOT / ".venv" / "bin" / "python"
    for folder, lock in locks.items():
        install(ROOT / folder, HERE / lock, installer)


def choose(python: tuple[int, int], system: str, machine: str, libc: str, version: str) -> dict[str, str]:
    """The environments to make, each with its lock file; leaves with a sentence where no TFDV fits."""
    if not (3, 11) <= python <= (3, 13):
        sys.exit(
            f"This is Python {python[0]}.{python[1]}. Lockgate runs on Python 3.11, 3.12 and 3.13.\n"
            "Call make with another one: make PYTHON=python3.12"
        )
    recent_linux = (
        system == "linux" and machine == "x86_64" and libc == "glibc" and _number(version) >= (2, 39)
    )
    if recent_linux or (system == "darwin" and machine == "arm64"):
        return {".venv": "tfdv-1.21.txt"}
    if system == "linux" and machine == "x86_64" and libc == "glibc" and python == (3, 11):
        return {".venv": "dev.txt", ".venv-tfdv": "tfdv-1.16.txt"}
    sys.exit(
        f"TensorFlow Data Validation has no wheel for Python {python[0]}.{python[1]} on {system} {machine} "
        f"with {libc or 'libc'} {version or 'unknown'}.\n"
        "It needs glibc 2.39 or newer (Debian 13, Ubuntu 24.04), an Apple silicon Mac, or Python 3.11 on\n"
        "older Linux. Either call make with another Python (make PYTHON=python3.11), or work in the\n"
        f"container {CONTAINER}, where it can be installed."
    )


def glibc() -> tuple[str, str]:
    """The C library's name and version, such as ("glibc", "2.36")."""
    return platform.libc_ver()


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def install(folder: Path, lock: Path, installer: Path) -> None:
    """Makes `folder` hold exactly what `lock` names, byte-compiled (imports are then 3 times as fast)."""
    project = (ROOT / "pyproject.toml").read_bytes() if folder == installer.parent.parent else b""
    wanted = hashlib.sha256(lock.read_bytes() + project + Path(__file__).read_bytes()).hexdigest()
    stamp = folder / ".lockgate"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    print(f"Installing {lock.name} into {folder.name}: a few minutes the first time …", flush=True)
    if not (folder / "bin" / "python").exists():
        try:
            venv.create(folder, with_pip=folder == installer.parent.parent)
        except subprocess.CalledProcessError:
            shutil.rmtree(folder)
            sys.exit(
                "This Python cannot make environments: it lacks ensurepip.\n"
                "On Debian and Ubuntu: apt install python3-venv"
            )
    # Byte code is wanted here even where the shell asks Python not to write it.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment["VIRTUAL_ENV"] = str(folder)

    def call(*command: str) -> None:
        subprocess.run(command, check=True, env=environment, cwd=ROOT)

    uv = installer.parent / "uv"
    if not uv.exists():
        call(str(installer), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", UV)
    call(str(uv), "pip", "sync", "--quiet", "--compile-bytecode", "--require-hashes", str(lock))
    for packages in folder.glob("lib/python3.*/site-packages"):
        shutil.copy(HERE / "stand-ins" / "farmhash.py", packages)
    if project:
        call(str(uv), "pip", "install", "--quiet", "--no-deps", "--editable", ".")
    stamp.write_text(wanted)


if __name__ == "__main__":
    main()
