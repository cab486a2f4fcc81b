"""The queries of the monitoring component."""

import json
from collections.abc import Iterator

from tests.manifests.built import MANIFESTS, adhoc


def expressions() -> Iterator[str]:
    objects = adhoc([MANIFESTS / "base"], [MANIFESTS / "components" / "monitoring"])
    for thing in objects:
        if thing["kind"] == "PrometheusRule":
            yield from (rule["expr"] for group in thing["spec"]["groups"] for rule in group["rules"])
        if thing["metadata"]["name"] == "lockgate-dashboard":
            for panel in json.loads(thing["data"]["lockgate.json"])["panels"]:
                yield from (target["expr"] for target in panel["targets"])
