"""How a model's revisions are named on a cluster."""

# KServe's own, on all pods of an InferenceService.
REVISION_LABEL = "serving.kserve.io/inferenceservice"


def revision_name(model: str, digest: str) -> str:
    """The name of a model's revision: `<model>-<first 8 digits of the digest>`."""
    return f"{model}-{digest[:8]}"


def service_name(revision: str) -> str:
    """The Service that KServe makes for a revision; its port 80 is HTTP."""
    return f"{revision}-predictor"
