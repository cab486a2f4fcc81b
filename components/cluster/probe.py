"""A real request to every pod of a revision, past Service and gateway."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import httpx

SECONDS = 10.0
PORT_NAME = "http"


def addresses(slices: Iterable[Mapping[str, Any]]) -> list[str]:
    """The URLs of the ready pods behind a Service, from its EndpointSlices."""
    found = set()
    for part in slices:
        port = next((p["port"] for p in part.get("ports") or () if p.get("name") == PORT_NAME), None)
        for endpoint in part.get("endpoints") or ():
            if port is not None and endpoint.get("conditions", {}).get("ready"):
                host = endpoint["addresses"][0]
                found.add(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")
    return sorted(found)


def refusal(model: str, row: Mapping[str, Any], urls: Sequence[str]) -> str:
    """Asks each pod for a prediction of the model's example; says what went wrong first, or nothing.

    Without an example (`row` is empty), a pod need only say that it is ready.
    """
    with httpx.Client(trust_env=False, timeout=SECONDS) as client:
        for url in urls:
            if said := _asked(client, url, model, row):
                return f"the pod at {url} did not predict: {said}"
    return ""


def _asked(client: httpx.Client, url: str, model: str, row: Mapping[str, Any]) -> str:
    try:
        if row:
            answer = client.post(f"{url}/v1/models/{model}:predict", json={"instances": [dict(row)]})
        else:
            answer = client.get(f"{url}/v2/models/{model}/ready")
    except httpx.TransportError as error:
        return f"{type(error).__name__}: {error}"
    if answer.status_code != httpx.codes.OK:
        return f"status {answer.status_code}: {answer.text[:300]}"
    if not row:
        return ""
    try:
        predictions = answer.json()["predictions"]
    except (ValueError, KeyError, TypeError):
        return f"it answered {answer.text[:300]}"
    return "" if len(predictions) == 1 else f"{len(predictions)} predictions for one row"
