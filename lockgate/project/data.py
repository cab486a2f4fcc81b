"""The sections on data: where it comes from, how it is split, what its columns are, the data gate."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import pairwise
from typing import Literal, Self, get_args

from pydantic import Field, model_validator

from lockgate.project.section import Count, Fraction, Section
from lockgate.records import Severity, Split


class Data(Section):
    """Where the raw data comes from and what its columns mean."""

    source: str = Field(description="A CSV or Parquet file, a folder of them, gs://…, or file.py:function.")
    label: str = Field(description="The column to predict.")
    positive: str | int | float | bool | None = Field(
        default=None,
        description="Binary tasks: the label's value that counts as positive (default: true or 1).",
    )
    time: str | None = Field(default=None, description="The column that says when a row happened.")
    keys: tuple[str, ...] = Field(
        default=(),
        description="Columns that name a row for a person; shown with mistakes, never learnt from.",
    )
    unavailable: tuple[str, ...] = Field(
        default=(),
        description="Columns known only after the moment of prediction; never allowed as features.",
    )
    partition: Literal["day", "month", "year"] = Field(
        default="month", description="How long a stretch of `time` one partition holds."
    )
    null_values: tuple[str, ...] = Field(
        default=("", "NA", "NaN", "null"), description="CSV texts that mean missing."
    )
    dates: tuple[str, ...] = Field(default=(), description="CSV columns to parse as dates and times.")


Span = tuple[datetime, datetime]


class TimeSplit(Section):
    """Splits by the time column: each split is a half-open span [from, to)."""

    by: Literal["time"] = "time"
    train: Span
    tune: Span
    test: Span
    live: Span | None = None

    @model_validator(mode="after")
    def _check_spans(self) -> Self:
        for name, (start, end) in self.spans():
            if start >= end:
                raise ValueError(
                    f"split.{name} is empty: it runs from {start} to {end}; the end must be later"
                )
        spans = sorted(self.spans(), key=lambda item: item[1])
        for (first, (_, end)), (second, (start, _)) in pairwise(spans):
            if start < end:
                raise ValueError(
                    f"split.{first} and split.{second} overlap: {second} starts {start}, before {end}"
                )
        return self

    def spans(self) -> Iterator[tuple[Split, Span]]:
        """The splits that are set, with their spans."""
        for name in get_args(Split):
            if (span := getattr(self, name)) is not None:
                yield name, span


class RandomSplit(Section):
    """Splits by a hash of the row's content (or of `group`), so that a row never changes its split."""

    by: Literal["random"] = "random"
    tune: Fraction = 0.15
    test: Fraction = 0.2
    live: Fraction = 0.0
    group: str | None = Field(default=None, description="Rows with the same value stay in the same split.")
    folds: int = Field(
        default=0, ge=0, description="k of k-fold cross-validation over train and tune; 0: none."
    )
    seed: int = 7

    @model_validator(mode="after")
    def _check_sum(self) -> Self:
        if (total := self.tune + self.test + self.live) >= 1:
            raise ValueError(
                f"split: tune, test and live add up to {total:g}; they must leave rows to train on"
            )
        return self


DatePart = Literal["month", "day_of_year", "day", "weekday", "hour", "minute"]


class Feature(Section):
    """How one raw column enters the model. What is not set follows from the column's type."""

    kind: Literal["number", "category", "date"] | None = Field(
        default=None, description="Default: by type; strings and booleans are categories, dates are dates."
    )
    missing: Literal["category", "mean", "median", "flag_mean", "flag_median"] | None = Field(
        default=None,
        description="Numbers: filled by mean or median, with or without a 0/1 flag beside it "
        "(default flag_median). Categories: a category of its own.",
    )
    clip: tuple[Fraction, Fraction] | None = Field(
        default=None,
        description="Numbers: quantiles of the training split to clip to, such as [0.001, 0.999].",
    )
    log: bool = Field(default=False, description="Numbers: sign(x)·ln(1+|x|) before scaling.")
    bins: int = Field(
        default=0, ge=0, description="Numbers: also cut into so many quantile bins, each learnt."
    )
    min_count: Count = Field(default=1, description="Categories: rarer values share one place.")
    max_values: Count = Field(
        default=100_000, description="Categories: at most so many values have their own place."
    )
    embedding: int | None = Field(
        default=None,
        ge=0,
        description="Categories: width of the embedding; 0: one-hot; default by vocabulary.",
    )
    parts: tuple[DatePart, ...] = Field(
        default=("month", "weekday", "hour"), description="Dates: the parts to use."
    )
    min: float | None = Field(default=None, description="Smallest value that the data gate allows.")
    max: float | None = Field(default=None, description="Largest value that the data gate allows.")
    max_missing: Fraction | None = Field(default=None, description="Largest share of missing values allowed.")


class Cross(Section):
    """Two or more features as one category; hashed into `bins` places."""

    of: tuple[str, ...] = Field(min_length=2)
    bins: Count = 1000
    embedding: int | None = Field(default=None, ge=0)

    @property
    def name(self) -> str:
        """The name of the crossed feature."""
        return "_x_".join(self.of).replace(".", "_")


class Slice(Section):
    """A part of the rows to look at on its own: each value of `column`, or each of its quantile ranges."""

    column: str
    bins: int = Field(default=0, ge=0, description="Numbers: cut into so many quantile ranges.")
    min_rows: Count = Field(default=100, description="Fewer training rows than this is sampling bias.")


class Limits(Section):
    """Limits of the data gate. Those on drift are on top of what chance alone would give."""

    missing: Fraction = 0.5
    duplicates: Fraction = 0.05
    overlap: Fraction = 0.0
    minority: Fraction = 0.01
    new_categories: Fraction = 0.01
    skew: Fraction = 0.1
    drift: Fraction = 0.15
    leakage: Fraction = Field(default=0.9, description="AUC (or share of variance) of one column alone.")
    confidence: Fraction = Field(default=0.999, description="Of the allowance for sample size.")


class Validation(Section):
    """The data gate."""

    schema_file: str = Field(default="schema.pbtxt", description="Kept in Git beside project.yaml.")
    severity: Mapping[str, Severity | Literal["off"]] = Field(
        default_factory=dict, description="By rule's name."
    )
    limits: Limits = Limits()


class Selection(Section):
    """Feature selection and dimension reduction."""

    drop_constant: bool = True
    drop_duplicated: bool = True
    min_information: float = Field(
        default=0.0,
        ge=0,
        description="Drop features whose mutual information with the label, in nats, is lower.",
    )
    keep: tuple[str, ...] = Field(default=(), description="Features that are never dropped.")
    components: int = Field(
        default=0, ge=0, description="Reduce the numbers to so many principal components; 0: off."
    )
