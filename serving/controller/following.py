"""Follows every model that has a ModelRollout: looks again and again, and at once where it changed."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TypeVar

from components.cluster.connection import Changed, Unreachable
from lockgate.errors import LockgateError
from lockgate.rollout.resource import GROUP
from serving.controller.loop import Looked, tick
from serving.controller.metrics import Metrics
from serving.controller.ports import Ports

log = logging.getLogger("lockgate.controller")
Name = tuple[str, str]  # namespace, model
T = TypeVar("T")
# Changes that come together, such as a spec and its annotations, are looked at together.
TOGETHER = 0.2
LONGEST_PAUSE = 60.0
AT_ONCE = 16
# A leader that could not act for so long asks whether it may again.
STANDBY = 0.5


@dataclass
class Followed:
    """One model: what was seen of its objects last, and whether it must be looked at now."""

    changed: asyncio.Event = field(default_factory=asyncio.Event)
    version: tuple[object, ...] = ()
    touch: tuple[object, ...] = ()
    task: "asyncio.Task[None] | None" = None


class Following:
    """The models that this controller follows.

    Args:
        ports: makes a model's ports.
        fail: says in a model's status that looking failed, as a word and a sentence.
        may_act: whether this controller leads.
        metrics: to keep up to date.
        is_dry: nothing is written, so only the reports say what was decided.
        interval: seconds between two looks; None: what each ModelRollout says.
    """

    def __init__(
        self,
        ports: Callable[[str, str], Ports],
        fail: Callable[[Ports, str, str], None],
        may_act: Callable[[], bool],
        metrics: Metrics,
        *,
        is_dry: bool = False,
        interval: float | None = None,
    ) -> None:
        self._make, self._fail, self._may_act = ports, fail, may_act
        self._metrics, self._is_dry, self._interval = metrics, is_dry, interval
        self._followed: dict[Name, Followed] = {}
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="look")

    def see(self, namespace: str, model: str, metadata: Mapping[str, object]) -> None:
        """A ModelRollout is there, or was written; a write of its status alone is no change."""
        annotations = metadata.get("annotations") or {}
        assert isinstance(annotations, Mapping)
        wishes = tuple(sorted(item for item in annotations.items() if str(item[0]).startswith(f"{GROUP}/")))
        version = (
            metadata.get("uid"),
            metadata.get("generation"),
            wishes,
            metadata.get("deletionTimestamp"),
        )
        followed = self._followed.setdefault((namespace, model), Followed())
        if followed.version == version and followed.task is not None:
            return
        followed.version = version
        followed.changed.set()
        if followed.task is None:
            followed.task = asyncio.create_task(self._follow((namespace, model), followed))

    def wake(self, namespace: str, model: str, touch: tuple[object, ...]) -> None:
        """Somebody else has touched an object of the model; `touch` tells one time from the next."""
        followed = self._followed.get((namespace, model))
        if followed is not None and followed.touch != touch:
            followed.touch = touch
            followed.changed.set()

    async def stop(self) -> None:
        """Ends after the looks that are under way."""
        tasks = [followed.task for followed in self._followed.values() if followed.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(self._pool.shutdown)

    async def _follow(self, name: Name, followed: Followed) -> None:
        ports: Ports | None = None
        failures = 0
        while True:
            if not self._may_act():
                # Another controller goes on from here; what is remembered of the servers is its now.
                ports = None
                self._metrics.forget(*name)
                await asyncio.sleep(STANDBY)
                continue
            followed.changed.clear()
            ports = ports or self._make(*name)
            started = time.monotonic()
            try:
                looked = await self._in_thread(tick, ports, datetime.now(UTC))
            except Exception as error:  # one model's fault must not end the others' rollouts
                failures += 1
                self._metrics.failed(time.monotonic() - started)
                await self._failed(name, ports, error, failures)
                pause = min(LONGEST_PAUSE, 2.0 ** min(failures, 10)) * random.uniform(0.5, 1.0)  # noqa: S311
            else:
                failures = 0
                if looked is None:
                    self._metrics.forget(*name)
                    if followed.changed.is_set():
                        continue
                    del self._followed[name]
                    return
                pause = self._done(name, looked, time.monotonic() - started)
            await _wait(followed.changed, pause)

    def _done(self, name: Name, looked: Looked, seconds: float) -> float:
        """Reports a look; the seconds until the next."""
        if self._is_dry:
            # What the status would become is not what is.
            looked = replace(looked, status=looked.rollout.status)
            if looked.decision is not None:
                weight, decision = looked.status.weight, looked.decision
                said = f"at {weight} % it would {decision.action.value}: {decision.reason}"
                log.info("%s/%s: dry run: %s", *name, said)
        self._metrics.looked(looked, seconds)
        return self._interval or looked.rollout.spec.analysis.interval_seconds

    async def _failed(self, name: Name, ports: Ports, error: Exception, failures: int) -> None:
        if not isinstance(error, LockgateError):
            log.error("%s/%s: a look ended in a fault of the controller", *name, exc_info=error)
        else:
            log.warning("%s/%s: %s", *name, error)
        # What the next look makes good by itself is no news.
        if isinstance(error, Changed | Unreachable) and failures < 3:
            return
        self._metrics.erred(*name)
        reason = type(error).__name__ if isinstance(error, LockgateError) else "Fault"
        try:
            await self._in_thread(self._fail, ports, reason, str(error))
        except Exception as second:  # nor may what cannot be said end them
            log.warning("%s/%s: nor could that be said in its status: %s", *name, second)

    async def _in_thread(self, call: Callable[..., T], *given: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, call, *given)


async def _wait(changed: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await changed.wait()
            await asyncio.sleep(TOGETHER)
    except TimeoutError:
        return
