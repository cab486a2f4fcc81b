"""Wilson's interval of a share; light, as the rollout controller uses it, too."""

import math
from statistics import NormalDist

Interval = tuple[float, float]


def normal_quantile(confidence: float) -> float:
    """The z for which a normal value lies within ±z with probability `confidence`; 1.96 at 0.95."""
    return NormalDist().inv_cdf((1 + min(confidence, 1 - 1e-12)) / 2)


def wilson(hits: float, rows: float, confidence: float) -> Interval:
    """Score interval of a share (Wilson, 1927); (0, 1) without rows."""
    if rows <= 0:
        return 0.0, 1.0
    z, p = normal_quantile(confidence), hits / rows
    centre = (p + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z / (1 + z * z / rows) * math.sqrt(p * (1 - p) / rows + z * z / (4 * rows * rows))
    return max(0.0, centre - half), min(1.0, centre + half)
