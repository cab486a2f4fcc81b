"""What model servers have counted and answered, read from all of them at one moment.

Servers that are read one after the other, or by a scraper's own clock, would have counted for different
periods: an outage that both revisions share would then be blamed on the one that was read later. So the
controller reads them itself, all at once, on a cluster as on a laptop.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from lockgate.rollout.counts import Counts, Pair
from serving.controller.answers import Answers
from serving.controller.fetch import Unread, fetched
from serving.controller.ports import Counted, Rollout, Side
from serving.controller.scale import label_scale

METRICS = "/metrics"
# What is read of a server's metrics: the parser is slow, and most lines are of no use here.
USED = (
    "lockgate_model_info", "lockgate_requests_total", "lockgate_request_seconds_bucket",
    "lockgate_request_score_bucket", "process_resident_memory_bytes",
)  # fmt: skip
# The stages in which copies of requests are sent, and the one before them.
COPIED = frozenset({"preparing", "mirroring", "soaking"})


@dataclass(frozen=True)
class Server:
    """A model server.

    `identity` is another one after each of its starts, as its counts begin anew. `url` is where it listens,
    without a path. `memory` is its limit in bytes (0: none is known). `revision` holds the first digits of
    the digest that it must serve (empty: not checked). A server that `is_leaving` may stop answering.
    """

    identity: str
    url: str
    memory: float = 0.0
    revision: str = ""
    is_leaving: bool = False


Servers = Mapping[Side, Sequence[Server]]


class ScrapedCounters:
    """The port `Counters` by the servers' own HTTP.

    Args:
        servers: those of each side, by the revisions' names.
        losses: of labelled requests, which were not told of before, by the revisions' names.
    """

    def __init__(
        self,
        servers: Callable[[Rollout, Mapping[Side, str]], Servers],
        losses: Callable[[Rollout, Mapping[Side, str]], tuple[float, ...]] = lambda *_: (),
    ) -> None:
        self._servers, self._losses = servers, losses
        self._answers: Answers | None = None
        self._found: Servers = {}

    def read(self, rollout: Rollout, names: Mapping[Side, str]) -> Mapping[Side, Counted]:
        """Counts by side; a server that does not answer becomes a sentence."""
        self._found = self._servers(rollout, names)
        is_copied = rollout.spec.mirror.percent > 0 and rollout.status.stage in COPIED
        if not is_copied or (self._answers is not None and self._answers.names != dict(names)):
            self._answers = None
        if is_copied and self._answers is None:
            # Noted where the answers begin: those before are of requests that were not copied, or told of.
            self._answers = Answers(names, label_scale(rollout.spec.stable.storage_uri))
            self._pairs()
        return counted(self._found)

    def pairs(self, rollout: Rollout, names: Mapping[Side, str]) -> tuple[Pair, ...]:  # noqa: ARG002
        """Pairs of answers since the last call, in the stages in which requests are copied.

        In the others a request comes twice only if a client repeats it, and what clients repeat is no fair
        sample of what they ask.
        """
        return self._pairs()

    def losses(self, rollout: Rollout, names: Mapping[Side, str]) -> tuple[float, ...]:
        """Of labelled requests, which were not told of before."""
        return self._losses(rollout, names)

    def _pairs(self) -> tuple[Pair, ...]:
        answers = self._answers
        if answers is None:
            return ()
        asked = [(side, server) for side in self._found for server in self._found[side]]
        bodies = fetched(answers.path(server.url, server.identity) for _, server in asked)
        said = {
            server.identity: (side, body)
            for (side, server), body in zip(asked, bodies, strict=True)
            if isinstance(body, str)
        }
        return answers.joined(said)


def counted(servers: Servers) -> dict[Side, Counted]:
    """What the servers of both sides have counted, all asked at the same moment."""
    asked = [(side, server) for side in servers for server in servers[side]]
    bodies = fetched(f"{server.url}{METRICS}" for _, server in asked)
    found: dict[Side, dict[str, Counts]] = {side: {} for side in servers}
    failures: dict[Side, list[str]] = {side: [] for side in servers}
    without: dict[Side, list[str]] = {side: [] for side in servers}
    for (side, server), body in zip(asked, bodies, strict=True):
        if isinstance(body, Unread):
            if not server.is_leaving:
                failures[side].append(f"{server.url}{METRICS} {body.why}")
            continue
        try:
            counts = parsed(body, server)
        except ValueError as error:
            failures[side].append(f"{server.url}{METRICS} {error}")
            continue
        if counts is None:
            without[side].append(f"{server.url}{METRICS} has none of Lockgate's metrics")
        else:
            found[side][server.identity] = counts
    return {
        side: Counted(
            found[side],
            failures=tuple(failures[side]),
            without=tuple(without[side]),
            unread=tuple(s.identity for s in servers[side] if s.identity not in found[side]),
        )
        for side in servers
    }


def parsed(text: str, server: Server) -> Counts | None:
    """A server's counts from its metrics as text; None where it has none of Lockgate's.

    Raises:
        ValueError: the text is no Prometheus text, or the server serves another model; a phrase.
    """
    from prometheus_client.parser import text_string_to_metric_families

    lines = (line for line in text.splitlines() if line.startswith(USED))
    codes: dict[str, int] = {}
    latency: dict[str, dict[float, float]] = {}
    scores: dict[str, dict[float, float]] = {}
    memory = 0.0
    for family in text_string_to_metric_families("".join(f"{line}\n" for line in lines)):
        for sample in family.samples:
            labels, value = sample.labels, sample.value
            match sample.name:
                case "lockgate_model_info" if not labels.get("digest", "").startswith(server.revision):
                    raise ValueError(f"is of another model, of digest {labels.get('digest', '')[:8]}")
                case "lockgate_requests_total":
                    codes[labels["code"]] = codes.get(labels["code"], 0) + int(value)
                case "lockgate_request_seconds_bucket":
                    latency.setdefault(labels.get("protocol", ""), {})[float(labels["le"])] = value
                case "lockgate_request_score_bucket":
                    scores.setdefault(labels.get("label", ""), {})[float(labels["le"])] = value
                case "process_resident_memory_bytes":
                    memory = value
    if not latency:
        return None
    seconds = [_histogram(buckets) for buckets in latency.values()]
    values = {label: _histogram(buckets) for label, buckets in scores.items()}
    has_scores = any(sum(counts) for _, counts in values.values())
    return Counts(
        codes=codes,
        latency=tuple(sum(counts) for counts in zip(*(counts for _, counts in seconds), strict=True)),
        latency_bounds=seconds[0][0],
        # Histograms that are empty say nothing of how scores are distributed.
        scores={label: counts for label, (_, counts) in values.items()} if has_scores else {},
        score_bounds=next(iter(values.values()))[0] if values else (),
        memory=memory / server.memory if server.memory else 0.0,
    )


def _histogram(buckets: Mapping[float, float]) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """The bounds but the infinite one, and the counts up to each and beyond, from cumulative buckets."""
    bounds = sorted(buckets)
    heights = [0.0, *(buckets[bound] for bound in bounds)]
    return tuple(bounds[:-1]), tuple(round(high - low) for low, high in pairwise(heights))
