"""A rollout from its first look to its end, as one record: what the report and the live view show."""

from collections.abc import Mapping
from datetime import datetime
from itertools import groupby
from typing import Literal

from lockgate.records import Record
from lockgate.rollout.readings import Reading
from lockgate.rollout.status import Phase


class Moment(Record):
    """One look.

    `seconds` since the rollout began; `weight` is the candidate's wanted share in percent, `observed` its
    share of the requests so far at this weight with the ends of its 99 % interval, in percent. `requests`
    are those that each revision has answered until then. `against` and `in_favour` are logarithms of
    e-values by measure; `total` that of the pooled evidence against the candidate.
    """

    seconds: float
    phase: Phase
    step: str
    weight: int
    observed: tuple[float, float, float] | None = None
    requests: Mapping[str, int] = {}
    against: Mapping[str, float] = {}
    in_favour: Mapping[str, float] = {}
    total: float = 0.0
    message: str = ""


class Happening(Record):
    """An event, so many seconds after the rollout began."""

    seconds: float
    kind: Literal["Normal", "Warning"]
    reason: str
    sentence: str


class RolloutRecord(Record):
    """A whole rollout.

    `stable` and `candidate` are the revisions' names; `weights` those of the steps in percent. `sent`
    requests were sent by the clients, of which `failed` were not answered with a status below 400, and so
    many of those had gone to the stable revision.
    """

    model: str
    stable: str
    candidate: str
    began: datetime
    outcome: str
    reason: str
    message: str
    alpha: float
    power: float
    weights: tuple[int, ...]
    moments: tuple[Moment, ...]
    happenings: tuple[Happening, ...]
    readings: tuple[Reading, ...]
    sent: int = 0
    failed: int = 0
    failed_stable: int = 0

    @property
    def seconds(self) -> float:
        """How long it took, or has taken so far."""
        return self.moments[-1].seconds if self.moments else 0.0

    def turns(self) -> list[Moment]:
        """The first look at each weight, in their order."""
        return [next(looks) for _, looks in groupby(self.moments, key=lambda moment: moment.weight)]
