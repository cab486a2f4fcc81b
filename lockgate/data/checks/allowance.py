"""How far apart two samples of the same distribution may lie by chance alone."""

from math import log, sqrt
from statistics import NormalDist


def of_frequencies(rows: int, categories: int, confidence: float) -> float:
    """A bound on the largest error of any observed frequency, which holds with probability `confidence`.

    The smaller of two: Hoeffding's inequality for each of k categories (Probability inequalities for sums
    of bounded random variables, 1963), sqrt(ln(2k/α) / 2n); and twice the bound of Dvoretzky, Kiefer and
    Wolfowitz with Massart's constant (1990) on the distribution function, 2·sqrt(ln(2/α) / 2n).
    """
    if rows <= 0:
        return 1.0
    alpha = max(1 - confidence, 1e-12)
    hoeffding = sqrt(log(2 * max(categories, 1) / alpha) / (2 * rows))
    return min(1.0, hoeffding, 2 * sqrt(log(2 / alpha) / (2 * rows)))


def of_divergence(rows: int, other_rows: int, bins: int, confidence: float) -> float:
    """The Jensen-Shannon divergence, in bits, that two samples of one distribution stay below.

    For small differences it is 1/8 · Σ (p - q)² / m nats (Lin, Divergence measures based on the Shannon
    entropy, 1991, expanded to second order), and that sum is (1/n + 1/n') times a χ² with k - 1 degrees of
    freedom; its quantile by Wilson and Hilferty (The distribution of chi-square, 1931).
    """
    if rows <= 0 or other_rows <= 0:
        return 1.0
    chi_square = chi_square_quantile(max(bins - 1, 1), min(confidence, 1 - 1e-12))
    return min(1.0, (1 / rows + 1 / other_rows) * chi_square / 8 / log(2))


def chi_square_quantile(freedom: int, probability: float) -> float:
    """The quantile of χ², by Wilson and Hilferty's approximation."""
    z = NormalDist().inv_cdf(probability) if 0 < probability < 1 else 0.0
    third = 2 / (9 * freedom)
    return float(freedom * max(1 - third + z * sqrt(third), 0.0) ** 3)
