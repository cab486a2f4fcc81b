"""Who has written what of an object, and whether it is as it should be. Pure."""

from collections.abc import Mapping
from typing import Any

from components.cluster.connection import FIELD_MANAGER

Object = Mapping[str, Any]


def others(there: Object) -> str:
    """Who else than Lockgate holds a part of the object's spec, by field managers; mostly nobody."""
    entries = there["metadata"].get("managedFields") or ()
    names = {
        entry.get("manager", "somebody")
        for entry in entries
        if "f:spec" in (entry.get("fieldsV1") or {}) and not entry.get("subresource")
    }
    return " and ".join(sorted(names - {FIELD_MANAGER}))


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
