"""How a rollout's end is written into the ModelRollout's file: what changes, and the commit's words. Pure."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from lockgate.errors import DeliveryError
from lockgate.rollout.readings import Reading, odds
from lockgate.rollout.resource import ModelRevision, Spec
from lockgate.rollout.status import Status
from lockgate.shipping.gitops import WIDTH, paragraph
from lockgate.shipping.gitrollout import file_of, manifest_in
from lockgate.shipping.names import revision_name

Kind = Literal["promote", "reject"]


def settled(text: bytes, kind: Kind, model: str, judged: str, spec: Spec) -> bytes | None:
    """The file after a rollout has ended; None where nothing is to be written; otherwise as `settled_spec`.

    Args:
        text: of the file.
        kind: how the rollout ended.
        model: its name.
        judged: the candidate's digest.
        spec: that the rollout was carried out by.

    Raises:
        DeliveryError: the file is no ModelRollout of this model, or nothing says what was promoted.
    """
    manifest = manifest_in(text, model)
    found = settled_spec(manifest["spec"], kind, model, judged, spec)
    return None if found is None else file_of({**manifest, "spec": found})


def settled_spec(
    there: Mapping[str, Any], kind: Kind, model: str, judged: str, spec: Spec
) -> dict[str, Any] | None:
    """The spec as it is to be written after a rollout has ended; None where it says so already.

    A rejected candidate is taken out. A promoted one, which has all of the traffic, becomes the stable
    revision, also where a newer candidate was pushed meanwhile; that one stays the candidate. Where somebody
    has written another stable revision since the rollout began, their word stands.

    Args:
        there: the spec that is written down.
        kind: how the rollout ended.
        model: its name.
        judged: the candidate's digest.
        spec: that the rollout was carried out by.

    Raises:
        DeliveryError: nothing says what was promoted.
    """
    candidate = there.get("candidate") or {}
    is_judged = candidate.get("digest") == judged
    rest = {key: value for key, value in there.items() if key != "candidate" or not is_judged}
    if kind == "reject":
        return rest if is_judged else None
    if there["stable"]["digest"] != spec.stable.digest or spec.stable.digest == judged:
        return None
    promoted = candidate if is_judged else _written(model, judged, spec.candidate)
    return {**rest, "stable": promoted}


def _written(model: str, judged: str, candidate: ModelRevision | None) -> dict[str, Any]:
    if candidate is None or candidate.digest != judged:
        raise DeliveryError(
            f"Revision {revision_name(model, judged)} was promoted and has all of the traffic, but was taken "
            "out of the spec meanwhile.",
            "What is written down must be what serves.",
            "Write it as spec.stable, or write another stable revision; the controller follows.",
        )
    return candidate.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def settled_message(kind: Kind, model: str, status: Status) -> str:
    """The message of the commit: how the rollout ended, how far it came, and what was measured.

    Args:
        kind: how it ended.
        model: its name.
        status: at the end.
    """
    name = revision_name(model, status.candidate)
    past = next((p for p in status.history if p.candidate == status.candidate), None)
    if kind == "promote":
        subject, said = f"Promote {model} {status.candidate[:8]}", f"Revision {name} is the stable one now."
    else:
        subject, said = f"Roll back {model} {status.candidate[:8]}", f"Revision {name} was taken back."
    facts = [f"Reason: {past.reason if past else status.reason}"]
    if past is not None:
        facts += [
            f"Traffic reached: {past.weight} %",
            f"Began: {past.started:%Y-%m-%dT%H:%M:%SZ}",
            f"Ended: {past.ended:%Y-%m-%dT%H:%M:%SZ}",
        ]
    parts = [paragraph((said, _sentence(past.message if past else status.message)))]
    if status.measurements:
        parts.append("\n".join(_items(status.measurements)))
    return "\n\n".join((subject, *parts, "\n".join(facts)))


def _items(measurements: tuple[Reading, ...]) -> Iterator[str]:
    for reading in measurements:
        against = f"evidence that it is too much: {odds(reading.against)} to 1"
        words = f"- {reading.measure}: {reading.sentence}; {against}."
        yield from textwrap.wrap(words, WIDTH, subsequent_indent="  ")


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}{'' if words.endswith('.') else '.'}"
