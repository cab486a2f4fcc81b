"""What a look at the world found: how the revisions are, and how the requests are split."""

from collections.abc import Mapping
from typing import Literal

from lockgate.records import Record


class Health(Record):
    """Whether a revision serves.

    `state`: absent (no InferenceService), starting, ready (every pod has predicted), or hopeless (waiting
    will not mend it); `reason` says why it is not ready; `ready_pods` are those that take requests.
    """

    state: Literal["absent", "starting", "ready", "hopeless"]
    reason: str = ""
    ready_pods: int = 0


class Seen(Record):
    """What was found: the spec's two revisions, all that exist, and the route's weights by revision.

    `routed` is None where there is no route. `can_mirror` says that the gateway can send copies.
    """

    stable: Health
    candidate: Health
    present: tuple[str, ...] = ()
    routed: Mapping[str, int] | None = None
    can_mirror: bool = False
