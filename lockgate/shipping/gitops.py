"""A model's folder in a Git repository: what a push changes in it, and how the commit explains it."""

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence

import yaml

from lockgate.errors import DeliveryError
from lockgate.shipping.annotations import metric_sentences
from lockgate.shipping.manifest import Object, render, routed
from lockgate.shipping.revision import Revision

ROUTE = "httproute.yaml"
KUSTOMIZATION = "kustomization.yaml"
HEADER = "# Written by Lockgate's push step; change project.yaml, or patch it in an overlay.\n"
WIDTH = 72


def changes(revision: Revision, existing: Mapping[str, bytes]) -> dict[str, bytes | None]:
    """The files of the model's folder that a push writes, and those that it removes.

    The folder holds the pushed revision and the one that had the traffic before: it is needed until the
    route has moved, and a revert of the commit goes back to it at once. Older ones are removed; they have
    had no traffic since the push before. Pushing the revision that has the traffic changes nothing.

    Args:
        revision: the pushed one.
        existing: the folder's files now, by name.

    Returns:
        Content by file name; None for a file to remove. Files of other names are left alone.

    Raises:
        DeliveryError: the folder's route cannot be read.
    """
    written = {f"{revision.name}.yaml": _file(revision.service), ROUTE: _file(revision.route)}
    there = {name for name in existing if re.fullmatch(rf"{revision.model}-[0-9a-f]{{8}}\.yaml", name)}
    before = _routed(existing.get(ROUTE))
    kept = there if before == (revision.name,) else there & {f"{name}.yaml" for name in before}
    names = sorted({*kept, f"{revision.name}.yaml", ROUTE})
    written[KUSTOMIZATION] = kustomization(names)
    wanted: dict[str, bytes | None] = {n: t for n, t in written.items() if existing.get(n) != t}
    return wanted | dict.fromkeys(sorted(there - kept - set(names)))


def message(revision: Revision) -> str:
    """The message of the commit: what is served now, why it may be, and from what it came."""
    said = f"Traffic for {revision.host} goes to revision {revision.name}, {revision.replicas} pods."
    return pushed_message(revision, said)


def pushed_message(revision: Revision, said: str) -> str:
    """The message of a push's commit.

    Args:
        revision: the pushed one.
        said: what the commit does, as a sentence.
    """
    card = revision.card
    sentences = (
        said,
        *(f"On the test split: {phrase}." for phrase in metric_sentences(card)),
        *(f"{_capital(verdict.sentence)}." for verdict in card.verdicts),
        card.decision,
    )
    return "\n\n".join((
        f"Push {card.name} {card.content[:8]}",
        paragraph(sentences),
        f"Model: {revision.address}\nSnapshot: {card.snapshot}\nLockgate: {card.version}",
    ))  # fmt: skip


def kustomization(names: Sequence[str]) -> bytes:
    """The kustomization.yaml of a folder with these files."""
    return _file(
        {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": list(names)}
    )


def _routed(route: bytes | None) -> tuple[str, ...]:
    if route is None:
        return ()
    try:
        return routed(yaml.safe_load(route))
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        raise DeliveryError(
            f"The model's {ROUTE} in the repository is no HTTPRoute that can be read.",
            "It says which revision has the traffic now, and that one must stay.",
            "Repair the file, or remove the model's folder if nothing is served from it.",
        ) from None


def _file(manifest: Object) -> bytes:
    return HEADER.encode() + render(manifest)


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def paragraph(sentences: Iterable[str]) -> str:
    """Sentences as lines of a commit's message, each beginning a new one."""
    return "\n".join(line for s in sentences if s for line in textwrap.wrap(s, WIDTH))
