"""The record that the preprocessing model is built from: what each feature becomes, with every constant."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import Field

from lockgate.features.raw import RawColumn
from lockgate.project import DatePart
from lockgate.records import Record

NUMBERS = "numbers"
MISSING, OTHER, FIRST = 0, 1, 2
CYCLES: Mapping[DatePart, int] = {
    "month": 12,
    "day_of_year": 366,
    "day": 31,
    "weekday": 7,
    "hour": 24,
    "minute": 60,
}


class NumberSpec(Record):
    """A number: missing → `fill`, clipped to [low, high], log if asked, then (x - mean) / std.

    `flag` adds a 0/1 number that says whether it was missing. `boundaries` also cut the number into bins,
    a category in which place 0 is missing.
    """

    kind: Literal["number"] = "number"
    name: str
    fill: float
    low: float | None = None
    high: float | None = None
    log: bool = False
    mean: float
    std: float
    flag: bool = False
    boundaries: tuple[float, ...] = ()


class CategorySpec(Record):
    """A category: place 0 is missing, 1 every value that has no place of its own, then `vocabulary`.

    `embedding` is the width of its embedding; 0 means one-hot.
    """

    kind: Literal["category"] = "category"
    name: str
    vocabulary: tuple[str, ...]
    embedding: int


class DateSpec(Record):
    """A date: each part becomes two numbers, sine and cosine of its place in the cycle (0 when missing).

    Parts with at most 31 values are a category too, in which place 0 is missing and 1 is not used.
    """

    kind: Literal["date"] = "date"
    name: str
    parts: tuple[DatePart, ...]


class CrossSpec(Record):
    """Categories taken together: every combination has its own place in `bins`, or is hashed into them."""

    name: str
    of: tuple[str, ...]
    bins: int
    embedding: int


class Components(Record):
    """Principal components of the scaled numbers `of`; `matrix` has one row a component.

    `explained` is the share of the variance that each component carries.
    """

    of: tuple[str, ...]
    means: tuple[float, ...]
    matrix: tuple[tuple[float, ...], ...]
    explained: tuple[float, ...]


class Dropped(Record):
    """A feature that the model does not get, and a sentence that says why."""

    name: str
    reason: str


class CategoryInput(Record):
    """A category as the network sees it: int32 places below `places`.

    `name` is for people (`hour of time` is `time.hour`), `input` names the tensor.
    """

    name: str
    input: str
    places: int
    embedding: int


FeatureSpec = Annotated[NumberSpec | CategorySpec | DateSpec, Field(discriminator="kind")]


class LabelSpec(Record):
    """The label: its task, the classes in the order of the outputs, and the training rows' share of each.

    Regression: `mean` and `std` of the label in the training rows; the network learns (y - mean) / std.
    Binary: classes are ("false", "true"): the second is the positive one.
    """

    name: str
    task: Literal["binary", "multiclass", "regression"]
    classes: tuple[str, ...] = ()
    shares: tuple[float, ...] = ()
    mean: float = 0.0
    std: float = 1.0


class TransformSpec(Record):
    """Everything the preprocessing model is made of; nothing in it is learnt later.

    `columns` are the raw columns that the model is fed, `features` those kept, in their order.
    `numbers` names the columns of the float32 input "numbers" [n, len(numbers)], `categories` the int32
    inputs [n]. `rows` are the rows written by split, those without a label left out.
    """

    columns: tuple[RawColumn, ...]
    features: tuple[FeatureSpec, ...]
    crosses: tuple[CrossSpec, ...] = ()
    components: Components | None = None
    dropped: tuple[Dropped, ...] = ()
    label: LabelSpec
    numbers: tuple[str, ...]
    categories: tuple[CategoryInput, ...]
    rows: Mapping[str, int] = {}

    def of_kind(self, kind: Literal["number", "category", "date"]) -> Iterator[FeatureSpec]:
        """The features of one kind, in order."""
        return (f for f in self.features if f.kind == kind)

    def column(self, name: str) -> RawColumn:
        """The raw column of a feature."""
        return next(c for c in self.columns if c.name == name)
