"""`lockgate serve`: the champion, or another pushed model, on this machine."""

import json
import os
import shlex
import sys
from pathlib import Path

from lockgate.errors import ServingError
from lockgate.shipping.folder import EXAMPLE, Example, check_digest
from lockgate.shipping.pushed import bring, digests
from lockgate.shipping.server import command, environment
from lockgate.workspace import Workspace


def serve(workspace: Workspace, name: str, port: int, model: str | None = None) -> None:
    """Prints the URL and a first request, then becomes the model server: this function does not return.

    Args:
        workspace: where models were pushed.
        name: the model's name in the URL.
        port: on 127.0.0.1.
        model: a digest, or its first digits; by default the champion's.

    Raises:
        ServingError: nothing was pushed, there is no such model, or its content was changed.
    """
    folder = model_folder(workspace, model)
    check_digest(folder)
    print(greeting(folder, name, port), flush=True)
    words = command(folder, name, ["--port", str(port)])
    os.execve(sys.executable, words, environment())  # noqa: S606 - no shell, our own server


def model_folder(workspace: Workspace, model: str | None) -> Path:
    """The folder of a pushed model, by its digest or the first digits of it; of the champion by default.

    Raises:
        StorageError: the workspace is in a bucket that cannot be read.
        ServingError: there is none, or the digits fit several.
    """
    digest = model or workspace.champion()
    if digest is None:
        raise ServingError(
            f"No model was pushed to {workspace.address} yet.",
            "A model is pushed when every gate is open.",
            "Run `lockgate run`.",
        )
    pushed = digests(workspace)
    found = [name for name in pushed if name.startswith(digest)]
    folder = bring(workspace, found[0]) if len(found) == 1 else None
    if folder is None:
        known = ", ".join(name[:12] for name in pushed) or "none"
        what = "fits several models" if found else "fits no model"
        raise ServingError(
            f"The digest {digest[:12]} {what}.",
            f"Pushed models: {known}.",
            "Give more of the digest's digits.",
        )
    return folder


def greeting(folder: Path, name: str, port: int) -> str:
    """Where the model will answer, and one request to paste."""
    url = f"http://127.0.0.1:{port}/v1/models/{name}:predict"
    row = dict(Example.load(folder / EXAMPLE).row)
    body = json.dumps({"instances": [row]}, ensure_ascii=False)
    request = f"curl -s {url} -H 'content-type: application/json' -d {shlex.quote(body)}"
    return (
        f"Serving {name} {folder.name[:12]} at {url}\nTry, once it is loaded:\n  {request}\nCtrl-C stops it."
    )
