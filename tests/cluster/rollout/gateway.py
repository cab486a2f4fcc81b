"""What the gateway itself counts: to which revision each request went, and how it ended there."""

import os
import re
from collections import Counter
from urllib.parse import urlsplit

import httpx

from tests.cluster.rollout.scene import Scene

LINE = re.compile(r"traefik_service_requests_total\{(?P<labels>[^}]*)\} (?P<count>\S+)")
LABEL = re.compile(r'(\w+)="([^"]*)"')
Reached = Counter[tuple[str, str]]


def reached(scene: Scene) -> Reached:
    """Requests that Traefik has sent on until now, by revision and status code."""
    host = urlsplit(scene.place.gateway).hostname
    address = os.environ.get("LOCKGATE_TEST_GATEWAY_METRICS", f"http://{host}:8082/metrics")
    counted: Reached = Counter()
    for line in LINE.finditer(httpx.get(address, trust_env=False).text):
        labels = dict(LABEL.findall(line["labels"]))
        if labels["service"].startswith(f"{scene.namespace}-"):
            revision = labels["service"].removeprefix(f"{scene.namespace}-").partition("-predictor-")[0]
            counted[revision, labels["code"]] += int(float(line["count"]))
    return counted
