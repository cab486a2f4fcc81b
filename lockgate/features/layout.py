"""The network's inputs: how features, crosses and components are laid out as one block and categories."""

from collections.abc import Mapping, Sequence

from lockgate.errors import ConfigError
from lockgate.features.constants import embedding_width
from lockgate.features.raw import RawColumn, unused_name
from lockgate.features.spec import (
    CYCLES,
    FIRST,
    NUMBERS,
    CategoryInput,
    CategorySpec,
    Components,
    CrossSpec,
    DateSpec,
    FeatureSpec,
    NumberSpec,
    TransformSpec,
)
from lockgate.project import Cross, Feature

LARGEST_CATEGORY_CYCLE = 31
LABEL = "label"


def number_names(features: Sequence[FeatureSpec], components: Components | None = None) -> tuple[str, ...]:
    """The columns of the block of numbers: scaled numbers (or their components), flags, date parts."""
    scaled = [f.name for f in features if isinstance(f, NumberSpec)]
    if components:
        scaled = [f"component {i + 1}" for i in range(len(components.matrix))]
    flags = [f"{f.name} missing" for f in features if isinstance(f, NumberSpec) and f.flag]
    dates = [f for f in features if isinstance(f, DateSpec)]
    parts = [f"{f.name}.{part} {wave}" for f in dates for part in f.parts for wave in ("sine", "cosine")]
    return (*scaled, *flags, *parts)


def category_places(features: Sequence[FeatureSpec]) -> dict[str, tuple[int, int]]:
    """Every category that features give, by its name for people: places and width of the embedding.

    A category by the feature's name, a number's bins by the number's name, a date's part as `name.part`.
    """
    found: dict[str, tuple[int, int]] = {}
    for feature in features:
        match feature:
            case CategorySpec():
                found[feature.name] = (len(feature.vocabulary) + FIRST, feature.embedding)
            case NumberSpec() if feature.boundaries:
                places = len(feature.boundaries) + 2
                found[feature.name] = (places, embedding_width(places))
            case DateSpec():
                for part in feature.parts:
                    if CYCLES[part] <= LARGEST_CATEGORY_CYCLE:
                        places = CYCLES[part] + FIRST
                        found[f"{feature.name}.{part}"] = (places, embedding_width(places))
            case _:
                pass
    return found


def category_inputs(
    columns: Sequence[RawColumn], features: Sequence[FeatureSpec], crosses: Sequence[CrossSpec]
) -> tuple[CategoryInput, ...]:
    """The categories that the network is fed, each with a tensor name of its own."""
    tensors = {c.name: c.tensor for c in columns}
    taken = {NUMBERS, LABEL}
    inputs = []
    wanted = [(name, *sizes) for name, sizes in category_places(features).items()]
    wanted += [(c.name, c.bins, c.embedding) for c in crosses]
    for name, places, width in wanted:
        column, _, part = (name, "", "") if name in tensors else name.rpartition(".")
        plain = f"{tensors[column]}_{part}".rstrip("_") if column in tensors else name
        safe = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in plain)
        tensor = unused_name(safe if safe[:1].isalpha() else f"cross_{safe.lstrip('_')}", taken)
        taken.add(tensor.lower())
        inputs.append(CategoryInput(name=name, input=tensor, places=places, embedding=width))
    return tuple(inputs)


def cross_specs(
    crosses: Sequence[Cross], features: Sequence[FeatureSpec], settings: Mapping[str, Feature]
) -> tuple[CrossSpec, ...]:
    """The crosses whose features are all kept.

    Where all combinations fit into `bins`, each has its own place.

    Raises:
        ConfigError: a cross names what is no feature, or a number that is not cut into bins.
    """
    places = category_places(features)
    specs = []
    for cross in crosses:
        for name in cross.of:
            if name not in places and not _is_known(name, settings, features):
                raise ConfigError(
                    f"The cross {' × '.join(cross.of)} names {name!r}, which is not a category.",
                    f"A cross takes categories, numbers with bins and parts of dates: {', '.join(places)}.",
                    f"Add {name} to features (with bins: for a number), or take it out of crosses.",
                )
        if all(name in places for name in cross.of):
            combinations = 1
            for name in cross.of:
                combinations *= places[name][0]
            bins = min(cross.bins, combinations)
            specs.append(CrossSpec(name=cross.name, of=cross.of, bins=bins, embedding=cross.embedding or 0))
    return tuple(specs)


def _is_known(name: str, settings: Mapping[str, Feature], features: Sequence[FeatureSpec]) -> bool:
    """Whether a cross's part is a feature that was dropped; then the cross goes with it."""
    kept = {f.name for f in features}
    column = name if name in settings else name.rpartition(".")[0]
    return column in settings and column not in kept


def file_columns(spec: TransformSpec) -> tuple[str, ...]:
    """The columns of the materialised features: numbers, categories, then the label, no name twice."""
    names: list[str] = []
    for name in (*spec.numbers, *(c.input for c in spec.categories), LABEL):
        names.append(unused_name(name, {n.lower() for n in names}))
    return tuple(names)
