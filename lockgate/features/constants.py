"""The constants of one feature, taken from its profile: no second pass over the data."""

import math
from typing import Any

import numpy as np

from lockgate.data.profile import CategoryProfile, ColumnProfile, DateProfile, NumberProfile
from lockgate.errors import ConfigError
from lockgate.features.spec import CategorySpec, DateSpec, FeatureSpec, NumberSpec
from lockgate.project import Feature

ONE_HOT_PLACES = 12
WIDEST = 50


def constants_of(name: str, profile: ColumnProfile, feature: Feature) -> FeatureSpec:
    """What a feature becomes, by its profile in the training rows and what project.yaml says of it.

    Raises:
        ConfigError: a setting does not fit the feature's kind.
    """
    _refuse_misfits(name, profile, feature)
    match profile:
        case NumberProfile():
            return _number(name, profile, feature)
        case CategoryProfile():
            return _category(name, profile, feature)
        case DateProfile():
            return DateSpec(name=name, parts=feature.parts)


def embedding_width(places: int) -> int:
    """The width of an embedding where project.yaml says none; 0, one-hot, for up to twelve places.

    min(50, 1.6 · places^0.56), rounded: the rule of fastai's tabular models (Howard and Gugger, 2020).
    """
    return 0 if places <= ONE_HOT_PLACES else min(WIDEST, round(1.6 * places**0.56))


def _number(name: str, profile: NumberProfile, feature: Feature) -> NumberSpec:
    missing = feature.missing or "flag_median"
    flag = missing in ("flag_mean", "flag_median", "category")
    has_missing = profile.missing + profile.infinite > 0
    if not profile.quantiles:
        return NumberSpec(name=name, fill=0.0, mean=0.0, std=1.0, flag=flag, log=feature.log)
    quantiles = np.asarray(profile.quantiles)
    low, high = (float(quantiles[round(1000 * q)]) for q in feature.clip or (0.0, 1.0))
    fill = float(quantiles[500]) if missing.endswith("median") else profile.mean
    mean, std = profile.mean, profile.std
    if feature.log or feature.clip:
        shaped = np.clip(quantiles, low, high)
        shaped = np.sign(shaped) * np.log1p(np.abs(shaped)) if feature.log else shaped
        mean, std = float(shaped.mean()), float(shaped.std())
    return NumberSpec(
        name=name,
        fill=fill,
        low=low if feature.clip else None,
        high=high if feature.clip else None,
        log=feature.log,
        mean=mean,
        std=std if std > 1e-9 * max(1.0, abs(mean)) and math.isfinite(std) else 1.0,
        flag=flag and has_missing,
        boundaries=_boundaries(quantiles, feature.bins),
    )


def _boundaries(quantiles: np.ndarray[Any, Any], bins: int) -> tuple[float, ...]:
    if bins < 2:
        return ()
    inner = quantiles[[round(1000 * k / bins) for k in range(1, bins)]]
    # A boundary at the minimum would leave the first bin empty.
    return tuple(float(b) for b in np.unique(inner.astype(np.float32)) if b > np.float32(quantiles[0]))


def _category(name: str, profile: CategoryProfile, feature: Feature) -> CategorySpec:
    frequent = [value for value, count in profile.values if count >= feature.min_count and value != ""]
    vocabulary = tuple(frequent[: feature.max_values])
    width = feature.embedding
    return CategorySpec(
        name=name,
        vocabulary=vocabulary,
        embedding=embedding_width(len(vocabulary) + 2) if width is None else width,
    )


def _refuse_misfits(name: str, profile: ColumnProfile, feature: Feature) -> None:
    kind = profile.kind
    fits = {
        "clip": ("number",),
        "log": ("number",),
        "bins": ("number",),
        "min_count": ("category",),
        "max_values": ("category",),
        "embedding": ("category", "number"),
        "parts": ("date",),
    }
    for setting in feature.model_fields_set & fits.keys():
        if kind not in fits[setting]:
            raise ConfigError(
                f"features.{name}.{setting} is set, but {name} is a {kind}.",
                f"{setting} is for {' and '.join(fits[setting])} features.",
                f"Take it out, or set features.{name}.kind.",
            )
    if kind != "number" and feature.missing not in (None, "category"):
        raise ConfigError(
            f"features.{name}.missing is {feature.missing!r}, but {name} is a {kind}.",
            "Only numbers can be filled; a missing category is a category of its own.",
            "Take it out.",
        )
