"""What the gateway itself counts: to which revision each request went, and how it ended there."""

import math
import os
from collections import Counter
from urllib.parse import urlsplit

import httpx

from tests.cluster.rollout.scene import Scene

Reached = Counter[tuple[str, str]]


def reached(scene: Scene, seconds: float) -> Reached:
    """Requests that Traefik sent on in the last seconds and before, by revision and status code.

    The sums begin with the revision's first request. Traefik forgets a revision when the route does, so this
    asks Prometheus for the largest numbers in that time; the last scrape's requests come some seconds late.
    """
    host = urlsplit(scene.place.gateway).hostname
    address = os.environ.get("LOCKGATE_TEST_PROMQL", f"http://{host}:9090")
    which = f'traefik_service_requests_total{{service=~"{scene.namespace}-.*"}}'
    query = f"sum by (service, code) (max_over_time({which}[{math.ceil(seconds)}s]))"
    # VictoriaMetrics would answer as of half a minute ago.
    given = {"query": query, "nocache": "1"}
    answer = httpx.get(f"{address}/api/v1/query", params=given, trust_env=False)
    counted: Reached = Counter()
    for found in answer.json()["data"]["result"]:
        service = found["metric"]["service"].removeprefix(f"{scene.namespace}-")
        revision = service.partition("-predictor-")[0]
        counted[revision, found["metric"]["code"]] += int(float(found["value"][1]))
    return counted
