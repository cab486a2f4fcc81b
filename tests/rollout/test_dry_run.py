"""A dry run judges what is there, and writes nothing, whatever it finds."""

import inspect
from dataclasses import fields
from datetime import timedelta
from typing import Any

import pytest

from lockgate.rollout.decide import Action
from serving.controller import loop, ports, writes
from serving.controller.dry import dry
from serving.controller.ports import Ports, RouteSeen
from serving.controller.writes import gated
from tests.rollout.world import CANDIDATE, STABLE, World, revision, short


class Untouched:
    """A port that fails the test when it is written to."""

    def __init__(self, port: Any) -> None:
        self._port = port

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)

        def call(*given: Any, **named: Any) -> Any:
            assert name in writes.READS, f"a dry run has called {name}"
            return method(*given, **named)

        return call


def serving(candidate_weight: int, **behaviour: Any) -> World:
    """Somebody else has sent a share of the traffic to the candidate."""
    spec = short().model_copy(update={"candidate": revision("b")})
    world = World(spec)
    world.present = {STABLE: revision("a"), CANDIDATE: revision("b")}
    world.route = {STABLE: 100 - candidate_weight, CANDIDATE: candidate_weight}
    for name, value in behaviour.items():
        setattr(world.behaviour(CANDIDATE), name, value)
    return world


def watched(world: World) -> Ports:
    given = world.ports
    untouched = Ports(**{f.name: Untouched(getattr(given, f.name)) for f in fields(Ports)})
    return dry(untouched, lambda: world.now)


def looks(world: World, dry_ports: Ports, count: int) -> list[loop.Looked]:
    found = []
    for _ in range(count):
        world.serve(10)
        world.now += timedelta(seconds=10)
        looked = loop.tick(dry_ports, world.now)
        assert looked is not None
        found.append(looked)
    return found


def test_every_method_of_a_port_is_known_as_a_read_or_counts_as_a_write() -> None:
    protocols = (ports.Store, ports.Book, ports.Fleet, ports.Traffic, ports.Counters)
    methods = {n for p in protocols for n, _ in inspect.getmembers(p, inspect.isfunction) if n[0] != "_"}
    assert methods - writes.READS == {"write_status", "keep", "tell", "settle", "ensure", "delete", "write"}


@pytest.mark.parametrize(("behaviour", "action"), [({}, Action.ADVANCE), ({"errors": 0.2}, Action.ROLL_BACK)])
def test_it_judges_what_somebody_else_routes_and_writes_nothing(
    behaviour: dict[str, Any], action: Action
) -> None:
    world = serving(25, **behaviour)
    found = looks(world, watched(world), 20)
    assert action in {looked.decision.action for looked in found if looked.decision is not None}
    assert {(at.stage, at.step, at.weight) for at in (x.rollout.status for x in found)} == {
        ("stepping", 1, 25)
    }
    assert found[-1].look.memory is not None
    assert found[-1].look.memory.ledger.errors.candidate_n > 1000, "evidence is folded from look to look"
    assert (world.status.stage, world.memory, world.events) == ("", None, [])
    assert world.route == {STABLE: 75, CANDIDATE: 25}


def test_it_follows_the_route_from_step_to_step(monkeypatch: pytest.MonkeyPatch) -> None:
    world = serving(0)
    dry_ports = watched(world)
    (before,) = looks(world, dry_ports, 1)
    assert before.rollout.status.stage == "preparing"
    world.route = {STABLE: 95, CANDIDATE: 5}
    first = looks(world, dry_ports, 3)[-1]
    world.route = {CANDIDATE: 100}
    last = looks(world, dry_ports, 1)[-1]
    assert (first.rollout.status.stage, last.rollout.status.stage) == ("stepping", "soaking")
    assert last.rollout.status.started == first.rollout.status.started
    assert last.rollout.status.since == world.now
    world.route = None
    assert looks(world, dry_ports, 1)[-1].rollout.status.stage == ""


def test_a_gate_may_stop_every_write_and_no_read() -> None:
    world = serving(25)
    asked = []

    def gate(name: str, call: writes.Call) -> Any:
        asked.append(name)
        raise PermissionError(name)

    behind = gated(world.ports, gate)
    assert behind.traffic.read(None) == RouteSeen({STABLE: 75, CANDIDATE: 25})  # type: ignore[arg-type]
    with pytest.raises(PermissionError):
        behind.traffic.write(None, {STABLE: 100}, None)  # type: ignore[arg-type]
    assert asked == ["write"]
    assert world.route == {STABLE: 75, CANDIDATE: 25}
