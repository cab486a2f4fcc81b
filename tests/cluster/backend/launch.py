"""Runs in a step's pod, as KFP's launcher does: fetches input artifacts, runs the component, sends outputs.

`launch.py EXECUTOR_INPUT COMMAND…`; what the component returned goes to the pod's termination message.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from google.auth.credentials import AnonymousCredentials
from google.cloud import storage  # noqa: TID251 - stands for KFP's launcher, which is not Lockgate's code

TERMINATION_MESSAGE = Path("/dev/termination-log")


def main() -> int:
    """The component's exit code, as KFP reports it: 0 or 1."""
    given, command = json.loads(sys.argv[1]), sys.argv[2:]
    # As Lockgate: anonymous to an emulator, else by the pod's own identity.
    emulated = os.environ.get("STORAGE_EMULATOR_HOST")
    client = (
        storage.Client(project="emulated", credentials=AnonymousCredentials())
        if emulated
        else storage.Client()
    )
    for uri in uris(given["inputs"]):
        fetch(client, uri)
    outputs = uris(given["outputs"])
    for uri in outputs:
        local(uri).parent.mkdir(parents=True, exist_ok=True)
    if code := subprocess.run(command, check=False).returncode:
        print(f"The component ended with exit code {code}.", file=sys.stderr)
        return 1
    for uri in outputs:
        send(client, uri)
    metadata = Path(given["outputs"]["outputFile"])
    values = json.loads(metadata.read_text()).get("parameterValues", {}) if metadata.exists() else {}
    TERMINATION_MESSAGE.write_text(json.dumps(values))
    return 0


def uris(side: dict) -> list[str]:
    """The addresses of all artifacts of one side of an executor input."""
    return [each["uri"] for named in side.get("artifacts", {}).values() for each in named["artifacts"]]


def local(uri: str) -> Path:
    """Where KFP's executor looks for gs://bucket/path."""
    return Path("/gcs") / uri.removeprefix("gs://")


def fetch(client: storage.Client, uri: str) -> None:
    """Brings an artifact, a file or a folder, to where the component reads it."""
    bucket, _, path = uri.removeprefix("gs://").partition("/")
    for blob in client.list_blobs(bucket, prefix=path):
        if blob.name == path or blob.name.startswith(f"{path}/"):
            target = Path("/gcs") / bucket / blob.name
            target.parent.mkdir(parents=True, exist_ok=True)
            blob.download_to_filename(str(target))


def send(client: storage.Client, uri: str) -> None:
    """Brings what the component wrote, a file or a folder, to its address; nothing where it wrote nothing."""
    source = local(uri)
    bucket = client.bucket(uri.removeprefix("gs://").partition("/")[0])
    files = [source] if source.is_file() else [p for p in source.rglob("*") if p.is_file()]
    for file in files:
        bucket.blob(file.relative_to(f"/gcs/{bucket.name}").as_posix()).upload_from_filename(str(file))


if __name__ == "__main__":
    sys.exit(main())
