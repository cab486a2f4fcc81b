"""Infrastructure: what the candidate's pods do beyond answering; judged by count, not by statistics."""

from collections.abc import Mapping

from lockgate.records import Record
from lockgate.rollout.policy import Policy


class Pods(Record):
    """What was seen of the pods since the rollout began.

    `restarts` by revision ("stable", "candidate"); `out_of_memory` says which of the candidate's pods were
    killed for want of memory; `memory` is the largest share of its limit that a candidate's pod now has, and
    `memory_looks` for how many looks in a row it has been near the limit.
    """

    restarts: Mapping[str, int] = {}
    out_of_memory: tuple[str, ...] = ()
    memory: float = 0.0
    memory_looks: int = 0
    said: str = ""


def fault(pods: Pods, policy: Policy) -> str:
    """What is wrong with the candidate's pods, as a sentence; empty where nothing is."""
    limits = policy.analysis.infrastructure
    if pods.out_of_memory:
        return (
            f"{pods.out_of_memory[0]} was killed because it needed more memory than its limit; raise "
            "serving.memory_mb, or make the model smaller"
        )
    restarts, others = pods.restarts.get("candidate", 0), pods.restarts.get("stable", 0)
    if restarts - others >= limits.restarts:
        said = f": {pods.said}" if pods.said else ""
        return f"the candidate's pods were started again {restarts} times, the stable's {others} times{said}"
    if pods.memory_looks >= limits.memory_looks:
        return (
            f"a pod's memory has been at {pods.memory:.0%} of its limit for {pods.memory_looks} looks, where "
            f"{limits.memory:.0%} is near it"
        )
    return ""
