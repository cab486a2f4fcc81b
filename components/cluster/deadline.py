"""How long workers may be missing: pure, with time as a parameter."""

from collections.abc import Mapping

from components.cluster.observing import LEAVING


class Deadline:
    """Passes when workers have been missing for too long.

    A job that waits in a queue is not late. A pod that is deleted may save first, and only then can its
    successor start: its grace does not count, but no more than that, as the pods of a lost node never end.

    Args:
        seconds: that workers may be missing.
        grace: that a leaving pod has.
        now: seconds that only grow.
    """

    def __init__(self, seconds: float, grace: float, now: float) -> None:
        self._seconds, self._grace = seconds, grace
        self._complete_at = self._none_left_at = now

    def has_passed(self, missing: Mapping[int, str], *, is_suspended: bool, now: float) -> bool:
        """Whether the workers that are missing now, with the reasons, have been for too long."""
        if not missing or is_suspended:
            self._complete_at = now
        if LEAVING not in missing.values():
            self._none_left_at = now
        elif now - self._none_left_at <= self._grace:
            self._complete_at = now
        return now - self._complete_at > self._seconds
