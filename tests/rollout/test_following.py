"""When the controller looks at a model: in turn, at once after a change, later after errors."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from components.cluster.connection import Unreachable
from lockgate.errors import ClusterError
from serving.controller import following
from serving.controller.following import Following
from serving.controller.metrics import Metrics
from serving.controller.ports import Ports, Rollout
from tests.rollout.world import World, short


class Watched:
    """One model that is followed, whose looks are noted."""

    def __init__(self, interval: float = 1000.0) -> None:
        self.world = World(short())
        self.looks = 0
        self.made = 0
        self.failed: list[tuple[str, str]] = []
        self.error: Exception | None = None
        self.leads = True
        self.is_there = True
        self.following = Following(
            self._ports,
            lambda _, reason, said: self.failed.append((reason, said)),
            lambda: self.leads,
            Metrics(),
            interval=interval,
        )

    def _ports(self, namespace: str, model: str) -> Ports:
        self.made += 1
        return replace(self.world.ports, store=self)  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.world, name)

    def read(self) -> Rollout | None:
        self.looks += 1
        if self.error is not None:
            raise self.error
        return self.world.read() if self.is_there else None

    def see(self, generation: int = 1, **annotations: str) -> None:
        given = {f"lockgate.dev/{name}": text for name, text in annotations.items()}
        self.following.see("models", "tiny", {"uid": "u", "generation": generation, "annotations": given})


def played(scenario: Callable[[Watched], Any], **given: Any) -> None:
    async def run() -> None:
        watched = Watched(**given)
        try:
            async with asyncio.timeout(20):
                await scenario(watched)
        finally:
            await watched.following.stop()

    asyncio.run(run())


async def until(condition: Callable[[], Any]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


def test_a_change_is_looked_at_at_once_and_a_write_of_the_status_is_none() -> None:
    async def scenario(watched: Watched) -> None:
        watched.see()
        await until(lambda: watched.looks == 1)
        watched.see()
        await asyncio.sleep(0.5)
        assert watched.looks == 1
        watched.see(generation=2)
        watched.see(generation=2, abort="bbbbbbbb")
        await until(lambda: watched.looks == 2)
        await asyncio.sleep(0.5)
        assert watched.looks == 2, "what comes together is looked at together"
        watched.see(generation=2)
        await until(lambda: watched.looks == 3)

    played(scenario)


def test_what_somebody_does_to_its_objects_is_looked_at_once() -> None:
    async def scenario(watched: Watched) -> None:
        watched.following.wake("models", "tiny", ("route", 1))
        watched.see()
        await until(lambda: watched.looks == 1)
        for touch in (("route", 2), ("route", 2), ("service", 7)):
            watched.following.wake("models", "tiny", touch)
        await until(lambda: watched.looks == 2)
        watched.following.wake("models", "tiny", ("service", 7))
        await asyncio.sleep(0.5)
        assert watched.looks == 2

    played(scenario)


def test_it_looks_again_after_the_interval() -> None:
    async def scenario(watched: Watched) -> None:
        watched.see()
        await until(lambda: watched.looks >= 5)
        assert watched.made == 1, "what is remembered from look to look stays"

    played(scenario, interval=0.02)


def test_it_waits_longer_after_each_error_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = []

    async def wait(changed: asyncio.Event, seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(0.01)

    monkeypatch.setattr(following, "_wait", wait)

    async def scenario(watched: Watched) -> None:
        watched.error = ClusterError("The spec cannot be read.")
        watched.see()
        await until(lambda: len(pauses) == 9)
        # Each at least half of 2, 4, 8 … seconds, and never more than a minute.
        assert all(min(60, 2.0**n) / 2 <= p <= min(60, 2.0**n) for n, p in enumerate(pauses[:9], start=1))
        assert watched.failed[0] == ("ClusterError", "The spec cannot be read.")
        watched.error = None
        await until(lambda: pauses[-1] == 1000.0)

    played(scenario)


def test_an_api_that_does_not_answer_for_a_moment_is_no_news(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(watched: Watched) -> None:
        noted = []

        async def wait(changed: asyncio.Event, seconds: float) -> None:
            noted.append(len(watched.failed))
            await asyncio.sleep(0.01)

        monkeypatch.setattr(following, "_wait", wait)
        watched.error = Unreachable("The API does not answer.")
        watched.see()
        await until(lambda: len(noted) >= 3)
        assert noted[:3] == [0, 0, 1]

    played(scenario)


def test_a_fault_of_the_controller_ends_no_rollout(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(watched: Watched) -> None:
        watched.error = KeyError("uid")
        watched.see()
        await until(lambda: watched.failed)
        assert watched.failed == [("Fault", "'uid'")]
        watched.error = None
        watched.see(generation=2)
        await until(lambda: watched.looks >= 2)

    played(scenario)
    assert "Traceback" in caplog.text


def test_what_cannot_even_be_said_ends_no_rollout() -> None:
    async def scenario(watched: Watched) -> None:
        def fail(*_: object) -> None:
            raise KeyError("status")

        watched.following._fail = fail
        watched.error = ClusterError("The spec cannot be read.")
        watched.see()
        await until(lambda: watched.looks == 1)
        watched.error = None
        watched.see(generation=2)
        await until(lambda: watched.looks >= 2)

    played(scenario)


def test_a_follower_does_not_look_and_a_new_leader_begins_afresh() -> None:
    async def scenario(watched: Watched) -> None:
        watched.leads = False
        watched.see()
        await asyncio.sleep(0.6)
        assert watched.looks == 0
        watched.leads = True
        await until(lambda: watched.looks >= 3)
        watched.leads = False
        await asyncio.sleep(0.6)
        before = watched.looks
        await asyncio.sleep(0.6)
        assert watched.looks == before
        watched.leads = True
        await until(lambda: watched.looks > before)
        assert watched.made == 2

    played(scenario, interval=0.02)


def test_a_model_that_is_gone_is_forgotten_until_it_comes_again() -> None:
    async def scenario(watched: Watched) -> None:
        watched.is_there = False
        watched.see()
        await until(lambda: watched.looks == 1)
        await asyncio.sleep(0.3)
        assert watched.looks == 1
        watched.is_there = True
        watched.see()
        await until(lambda: watched.looks == 2)

    played(scenario)
