"""Records of rollouts that the controller's own loop led through a world in memory."""

from collections.abc import Callable

from lockgate.rollout.decide import harm
from lockgate.rollout.record import Happening, Moment, RolloutRecord
from tests.rollout.world import CANDIDATE, MODEL, STABLE, Behaviour, World, short


def recorded(candidate: Behaviour | None = None, looks: int = 60) -> RolloutRecord:
    """The record of a rollout of such a candidate (default: a fine one), to its end."""
    world = World(short())
    if candidate is not None:
        world.behaviours[CANDIDATE] = candidate
    world.begin()
    began, known = world.now, len(world.events)
    moments: list[Moment] = []
    happenings: list[Happening] = []

    def passed() -> float:
        return (world.now - began).total_seconds()

    for _ in range(looks):
        looked = world.tick()
        assert looked is not None
        status, evidence = looked.status, looked.look.evidence
        readings = looked.decision.readings if looked.decision is not None else ()
        moments.append(
            Moment(
                seconds=passed(),
                phase=status.phase,
                step=status.step_text,
                weight=100 if status.phase == "Promoted" else status.weight,
                observed=evidence.ledger.split.observed()
                if evidence and evidence.ledger.split.weight == status.weight
                else None,
                requests={name: counts.requests for name, counts in world.counts.items()},
                against={r.measure: r.against for r in readings},
                in_favour={r.measure: r.for_it for r in readings if r.for_it is not None},
                total=harm(world.spec.policy, evidence.ledger)[0] if evidence else 0.0,
                message=status.message,
            )
        )
        for kind, reason, sentence in world.events[known:]:
            happenings.append(Happening(seconds=passed(), kind=kind, reason=reason, sentence=sentence))
        known = len(world.events)
        if status.history and not status.retiring and status.settled:
            break
    past, policy = world.status.history[0], world.spec.policy
    return RolloutRecord(
        model=MODEL,
        stable=STABLE,
        candidate=CANDIDATE,
        began=began,
        outcome=past.outcome,
        reason=past.reason,
        message=past.message,
        alpha=policy.analysis.alpha,
        power=policy.analysis.power,
        weights=policy.carried,
        moments=tuple(moments),
        happenings=tuple(happenings),
        readings=world.status.measurements,
        sent=sum(counts.requests for counts in world.counts.values()),
    )


RECORDS: dict[str, Callable[[], RolloutRecord]] = {
    "good": recorded,
    "errors": lambda: recorded(Behaviour(errors=0.1)),
    "slow": lambda: recorded(Behaviour(slow=0.5)),
    "memory": lambda: recorded(Behaviour(out_of_memory=("tiny-bbbbbbbb-0",))),
}
