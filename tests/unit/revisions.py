"""A model card of flights and the revision that is made of it, for the tests of delivery."""

from datetime import UTC, datetime

from lockgate.project import Cluster, Data, Project, Push, Serving
from lockgate.shipping.record import CardMetric, CardVerdict, ModelCard
from lockgate.shipping.revision import Revision, revision_of

DIGEST = "0123456789abcdef" * 4
STORE = "gs://bucket/flights/models"


def project(**push) -> Project:
    return Project(
        name="flights",
        task="binary",
        data=Data(source="x.csv", label="late"),
        cluster=Cluster(namespace="serving"),
        push=Push(**push),
        serving=Serving(memory_mb=1500),
    )


def card(digest: str = DIGEST, **changed) -> ModelCard:
    given = {
        "content": digest, "name": "flights", "task": "binary", "version": "0.1.0", "snapshot": "5" * 64,
        "created": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "source": "x.csv", "rows": {"train": 12_345},
        "label": "late", "features": ("distance",), "metric": "roc_auc", "memory_mb": 801.0,
        "metrics": (CardMetric(name="roc_auc", value=0.72, low=0.7, high=0.74, baselines={"linear": 0.69}),),
        "verdicts": (CardVerdict(gate="model", sentence="model gate open: 3 of 3 checks passed, 1 warnings",
                                 warnings=("Few rows.",)),),
        "limits": ("It was not judged where carrier is HA.",),
    }  # fmt: skip
    return ModelCard.model_validate({**given, **changed})


def revision(digest: str = DIGEST, **push) -> Revision:
    return revision_of(card(digest), project(**push), STORE, {"distance": 200.5})
