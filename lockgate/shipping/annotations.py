"""The model card as annotations of Kubernetes objects."""

from collections.abc import Iterable

from lockgate.shipping.record import CardVerdict, ModelCard

LONGEST_ANNOTATION = 2_000


def annotations(card: ModelCard, address: str) -> dict[str, str]:
    """The card as annotations of a Kubernetes object: what a person asks first, and where the rest lies.

    KServe copies them to every pod, so each has at most 2,000 characters.

    Args:
        card: of the model.
        address: the model's folder in the bucket.
    """
    learnt = card.time_max and f", up to {card.time_max:%Y-%m-%d}"
    said = {
        "card": f"{address}/card.json",
        "snapshot": card.snapshot,
        "created": f"{card.created:%Y-%m-%dT%H:%M:%SZ}",
        "version": card.version,
        "task": f"{card.task}: {card.label}",
        "trained-on": f"{card.rows.get('train', 0):,} rows of {card.source}{learnt or ''}",
        "metrics": "; ".join(metric_sentences(card)),
        "decision": card.decision,
        "verdicts": "; ".join(_told(verdict) for verdict in card.verdicts),
        "intended-use": card.intended_use,
        "limits": " ".join(card.limits),
    }
    return {f"lockgate.dev/{key}": _shortened(text) for key, text in said.items() if text}


def metric_sentences(card: ModelCard) -> Iterable[str]:
    """A phrase per metric, with its interval and the baselines where there are any."""
    for metric in card.metrics:
        interval = "" if metric.low is None else f" ({metric.low:.4g} to {metric.high:.4g})"
        others = ", ".join(f"{name} {value:.4g}" for name, value in metric.baselines.items())
        yield f"{metric.name} {metric.value:.4g}{interval}" + (f", {others}" if others else "")


def _told(verdict: CardVerdict) -> str:
    return " ".join((verdict.sentence, *(f"[{warning}]" for warning in verdict.warnings)))


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_ANNOTATION else f"{text[: LONGEST_ANNOTATION - 1]}…"
