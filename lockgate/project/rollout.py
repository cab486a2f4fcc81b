"""The section on rollouts: how a pushed model takes the traffic, and by what it is judged."""

from pydantic import Field

from lockgate.rollout.policy import Policy


class Rollout(Policy):
    """How a pushed model takes the traffic (push.strategy: rollout), and by what it is judged meanwhile.

    A limit on scores or agreement that is not written here follows from the evaluation.
    """

    sticky_header: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9-]*$",
        description="A request header; one that names a revision by its digest's first eight digits goes "
        "there. Empty: none.",
    )
