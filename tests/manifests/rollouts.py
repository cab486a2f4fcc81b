"""Specs of ModelRollouts that the controller and the API server must judge alike."""

import copy
from typing import Any

STABLE, CANDIDATE = "a" * 64, "b" * 64
Document = dict[str, Any]


def revision(digest: str, bucket: str = "bucket", **more: Any) -> Document:
    return {"digest": digest, "storageUri": f"gs://{bucket}/models/{digest}", **more}


def spec(**changed: Any) -> Document:
    """A spec with what must be there, and a key for each change; a `__` leads into a part."""
    made: Document = {"host": "flights.models", "stable": revision(STABLE)}
    for path, value in changed.items():
        *parts, last = path.split("__")
        place = made
        for part in parts:
            place = place.setdefault(part, {})
        place[last] = copy.deepcopy(value)
    return made


def weights(*given: int) -> list[Document]:
    return [{"weight": weight} for weight in given]


TAKEN = [
    spec(),
    spec(candidate=revision(CANDIDATE)),
    spec(candidate=revision(STABLE)),
    spec(steps=weights(100)),
    spec(steps=[{"weight": 10, "seconds": 0}, {"weight": 100, "seconds": 2.5}]),
    spec(steps=weights(*range(1, 101))),
    spec(mirror__percent=0, analysis__soakSeconds=0),
    spec(analysis__latency={"limitMs": 12.5, "tolerance": 0.0, "margin": 1}),
    spec(analysis__measures=["errors"], analysis__alpha=0.001),
    spec(traffic={"via": "knative"}),
    spec(traffic={"gateway": "gateways/public.example"}, stickyHeader="x-lockgate-revision", paused=True),
    spec(git={"repository": "ssh://git@git.example.org/models", "path": "models/flights/modelrollout.yaml"}),
    spec(
        stable=revision(
            STABLE,
            runtime="another",
            replicas=1,
            resources={"requests": {"cpu": "500m"}, "limits": {"cpu": "2", "memory": "1500M"}},
            example={"distance": 200.5, "carrier": None, "day": "2026-01-01", "stops": 0, "is_late": False},
            annotations={"lockgate.dev/version": "1"},
        )
    ),
]
# By types and bounds.
REFUSED = [
    {"stable": revision(STABLE)},
    {"host": "flights.models"},
    spec(host="Flights"),
    spec(host=""),
    spec(host=f"{'a' * 60}.{'b' * 60}.{'c' * 60}.{'d' * 60}.{'e' * 60}"),
    spec(stable={"digest": STABLE}),
    spec(stable=revision(STABLE[:63])),
    spec(stable=revision("A" * 64)),
    spec(stable=revision(STABLE, replicas=0)),
    spec(stable=revision(STABLE, replicas=1.5)),
    spec(stable=revision(STABLE, replicas="two")),
    spec(stable=revision(STABLE, resources={"requests": {"cpu": 1}})),
    spec(stable=revision(STABLE, resources={"claims": {"gpu": "1"}})),
    spec(stable=revision(STABLE, annotations={"lockgate.dev/version": 1})),
    spec(stable=revision(STABLE, example=[1, 2])),
    spec(candidat=revision(CANDIDATE)),
    spec(steps=[]),
    spec(steps=weights(0, 100)),
    spec(steps=weights(50, 101)),
    spec(steps=[{"seconds": 10}]),
    spec(steps=[{"weight": 100, "seconds": -1}]),
    spec(mirror__percent=101),
    spec(analysis__alpha=0),
    spec(analysis__alpha=0.5),
    spec(analysis__power=0.5),
    spec(analysis__power=1),
    spec(analysis__intervalSeconds=0),
    spec(analysis__measures=["errors", "luck"]),
    spec(analysis__errors__margin=1.5),
    spec(analysis__agreement__labels=1),
    spec(analysis__infrastructure__restarts=0),
    spec(analysis__splitTolerance="wide"),
    spec(traffic={"via": "istio"}),
    spec(traffic={"gateway": "public"}),
    spec(traffic={"gateway": "gateways/Public"}),
    spec(stickyHeader="x revision"),
    spec(paused="yes please"),
    spec(git={"repository": "ssh://git@git.example.org/models"}),
    spec(git={"repository": "", "path": "a.yaml"}),
]
# By rules over several fields, with what the server says.
FORBIDDEN = [
    (
        spec(stable={"digest": STABLE, "storageUri": f"gs://b/{CANDIDATE}"}),
        "storageUri must end with the digest",
    ),
    (spec(candidate={"digest": CANDIDATE, "storageUri": "gs://b"}), "storageUri must end with the digest"),
    (spec(candidate=revision(STABLE, "another")), "stable and candidate have one digest"),
    (spec(steps=weights(5, 50)), "weights must rise, and the last must be 100"),
    (spec(steps=weights(50, 5, 100)), "weights must rise, and the last must be 100"),
    (spec(steps=weights(5, 5, 100)), "weights must rise, and the last must be 100"),
    (spec(steps=weights(100, 100)), "weights must rise, and the last must be 100"),
    (spec(analysis__errors={"tolerance": 0.01}), "margin must be more than tolerance"),
    (spec(analysis__latency__margin=0.01), "margin must be more than tolerance"),
    (spec(analysis__scores={"tolerance": 0.3, "margin": 0.2}), "margin must be more than tolerance"),
    (spec(traffic={"via": "knative", "gateway": "a/b"}), "leave gateway out, or via"),
    (spec(traffic={"via": "knative"}, stickyHeader="x-revision"), "leave stickyHeader out"),
]
