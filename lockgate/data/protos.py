"""A profile as TensorFlow Data Validation's own statistics, for its schema inference, checks and viewers."""

import itertools
from datetime import UTC
from typing import Any

import numpy as np

from lockgate.data.profile import CategoryProfile, ColumnProfile, DateProfile, NumberProfile, Profile
from lockgate.records import Split

TOP_VALUES = 20
RANKS = 1000
BUCKETS = 10


def statistics_list(profile: Profile) -> Any:
    """The profile as a `DatasetFeatureStatisticsList` with one dataset a split, named by the split."""
    from tensorflow_metadata.proto.v0 import statistics_pb2

    return statistics_pb2.DatasetFeatureStatisticsList(datasets=[dataset(profile, s) for s in profile.splits])


def dataset(profile: Profile, split: Split) -> Any:
    """One split of the profile as `DatasetFeatureStatistics`.

    Numbers become INT or FLOAT (over finite values), categories and booleans STRING, dates INT (seconds
    since 1970). Missing values of a column are missing features of an example.
    """
    from tensorflow_metadata.proto.v0 import statistics_pb2

    rows = profile.rows(split)
    result = statistics_pb2.DatasetFeatureStatistics(name=split, num_examples=rows)
    for name, column in profile.splits[split].items():
        feature = result.features.add(type=_type(column))
        feature.path.step.append(name)
        match column:
            case NumberProfile():
                _fill_number(feature.num_stats, column)
            case CategoryProfile():
                _fill_category(feature.string_stats, column)
            case DateProfile():
                _fill_date(feature.num_stats, column)
    return result


def _type(column: ColumnProfile) -> Any:
    from tensorflow_metadata.proto.v0.statistics_pb2 import FeatureNameStatistics

    if isinstance(column, CategoryProfile):
        return FeatureNameStatistics.STRING
    integer = isinstance(column, DateProfile) or column.dtype.startswith(("Int", "UInt", "Boolean"))
    return FeatureNameStatistics.INT if integer else FeatureNameStatistics.FLOAT


def _fill_common(common: Any, column: ColumnProfile) -> None:
    present = column.rows - column.missing
    common.num_non_missing, common.num_missing = present, column.missing
    if not present:
        return
    common.min_num_values = common.max_num_values = 1
    common.avg_num_values, common.tot_num_values = 1.0, present
    common.num_values_histogram.type = 1
    for _ in range(BUCKETS):
        common.num_values_histogram.buckets.add(low_value=1, high_value=1, sample_count=present / BUCKETS)


def _fill_number(stats: Any, column: NumberProfile) -> None:
    _fill_common(stats.common_stats, column)
    if not column.quantiles:
        return
    stats.mean, stats.std_dev, stats.num_zeros = column.mean, column.std, column.zeros
    stats.min, stats.median, stats.max = column.min, column.quantiles[500], column.max
    finite = column.rows - column.missing - column.infinite
    standard, quantiles = stats.histograms.add(type=0), stats.histograms.add(type=1)
    edges = np.linspace(column.min, column.max, BUCKETS + 1)
    shares = np.diff(_share_below(column, edges))
    for low, high, share in zip(edges[:-1], edges[1:], shares, strict=True):
        standard.buckets.add(low_value=low, high_value=high, sample_count=share * finite)
    tenths = column.quantiles[:: 1000 // BUCKETS]
    for low, high in itertools.pairwise(tenths):
        quantiles.buckets.add(low_value=low, high_value=high, sample_count=finite / BUCKETS)


def _share_below(column: NumberProfile, edges: Any) -> Any:
    """The share of rows below each of ascending edges, from the quantiles; all lie below the last."""
    at = np.asarray(column.quantiles)
    share = (np.searchsorted(at, edges, side="left") + np.searchsorted(at, edges, side="right")) / 2 / len(at)
    share[0], share[-1] = 0.0, 1.0
    return share


def _fill_category(stats: Any, column: CategoryProfile) -> None:
    _fill_common(stats.common_stats, column)
    stats.unique, stats.avg_length = column.distinct, column.mean_length
    for value, count in column.values[:TOP_VALUES]:
        stats.top_values.add(value=value, frequency=count)
    for rank, (value, count) in enumerate(column.values[:RANKS]):
        stats.rank_histogram.buckets.add(low_rank=rank, high_rank=rank, label=value, sample_count=count)


def _fill_date(stats: Any, column: DateProfile) -> None:
    _fill_common(stats.common_stats, column)
    if column.min is not None and column.max is not None:
        stats.min = column.min.replace(tzinfo=UTC).timestamp()
        stats.max = column.max.replace(tzinfo=UTC).timestamp()
