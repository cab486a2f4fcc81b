"""Who has written what of an object, and whether it is as it should be. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from components.cluster.connection import FIELD_MANAGER

Object = Mapping[str, Any]


def others(there: Object) -> str:
    """Who else than Lockgate holds a part of the object's spec, by field managers; mostly nobody."""
    return _named(_holders(there) - {FIELD_MANAGER})


def overwriters(there: Object, parts: Iterable[str]) -> str:
    """Who holds one of these parts of the spec where Lockgate does not: what it wrote there is gone.

    Somebody who has written the same as Lockgate holds the part with it, and has changed nothing.

    Args:
        there: the object.
        parts: of the spec that are replaced as a whole, such as an HTTPRoute's rules.
    """
    lost = set(parts) - _parts(there, FIELD_MANAGER)
    return _named({manager for manager in _holders(there) if _parts(there, manager) & lost})


def _named(managers: set[str]) -> str:
    return " and ".join(sorted(managers))


def _holders(there: Object) -> set[str]:
    return {manager for manager, fields in _entries(there) if "f:spec" in fields}


def _parts(there: Object, manager: str) -> set[str]:
    found = (fields.get("f:spec", {}) for name, fields in _entries(there) if name == manager)
    return {part.removeprefix("f:") for spec in found for part in spec}


def _entries(there: Object) -> list[tuple[str, Object]]:
    entries = there["metadata"].get("managedFields") or ()
    return [
        (entry.get("manager", "somebody"), entry.get("fieldsV1") or {})
        for entry in entries
        if not entry.get("subresource")
    ]


def has(there: Any, wanted: Any) -> bool:
    """Whether the object has all that is wanted; maps may have more, lists have the same items in order."""
    if isinstance(wanted, Mapping):
        return isinstance(there, Mapping) and all(
            key in there and has(there[key], value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(there, list)
            and len(there) == len(wanted)
            and all(has(a, b) for a, b in zip(there, wanted, strict=True))
        )
    return bool(there == wanted)
